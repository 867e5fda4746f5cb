"""One trial for people: the fields of its record under headings, and remarks on its mask."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sweep.records import RoundRecord, TrialRecord
from sweep.report.trials import leaves

Lines = list[tuple[str, ...]]  # a field's name and its value, or its values at the start and at the end

SECTIONS = {  # heading -> fields of the record, in order
    "trial": (
        *("trial_id", "sweep", "status", "data", "data_encoding", "data_fingerprint", "data_content", "classes"),
        *("architecture_label", "method_label", "ablation", "sparsity", "seed"),
    ),
    "outcome": (
        *("test_accuracy", "test_loss", "validation_accuracy", "best_validation_accuracy", "best_epoch"),
        *("train_accuracy", "train_loss", "epochs", "attempts", "preemptions", "accumulate"),
        *("error_type", "error_message", "traceback"),
    ),
    "mask": (
        *("prunable", "prunable_share", "kept", "compression_ratio", "speedup", "revived", "mask_bytes"),
        *("mask_entropy_bytes", "weights_bytes", "tied_kept", "tied_candidates", "unconserved_layers"),
    ),
    "cost": (
        *("prune_seconds", "prune_passes", "prune_flops", "passes", "training_flops", "training_flops_share"),
        *("trained_weights", "trained_macs", "trained_whole", "step", "data_wait"),
        *("train_seconds", "images_per_second", "seconds"),
        *("peak_memory_bytes", "device_memory_bytes"),
    ),
    "shared by all methods at this seed": ("initial_weights_hash", "pruning_batches_hash", "training_order_hash"),
    "results": ("mask_hash", "final_weights_hash", "kept_weights_hash"),
    "where it ran": (
        *("started", "written", "outcome", "host", "device", "threads", "gpu_share", "cluster"),
        *("git_commit", "git_dirty", "versions"),
    ),
}  # fmt: skip
START_AND_END = {  # field at the start of the (last) training -> the same of the tested network
    "achieved_sparsity": "final_sparsity",
    "effective_sparsity": "final_effective_sparsity",
    "effective_nodes": "final_effective_nodes",
    "log_paths": "final_log_paths",
    "empty_layers": "final_empty_layers",
    "disconnected": "final_disconnected",
    "macs_dense": None,
    "macs_kept": "final_macs_kept",
    "gradient_norm": "final_gradient_norm",
    "force_objective": "final_force_objective",
}
START_AND_END_HEADING = ("", "at the start", "after training")
_CONFIG_PARTS = ("data", "pruning", "training")  # the rest of the config is under "trial"


def record_fields(record: TrialRecord) -> dict[str, Lines]:
    """Heading -> (field, value); under "mask, before and after" also the value after training. None is left out."""
    sections: dict[str, Lines] = {}
    for heading, names in SECTIONS.items():
        known = [name for name in names if getattr(record, name) is not None]
        sections[heading] = [(name, field_text(name, getattr(record, name))) for name in known]
        if heading == "trial":
            sections["config"] = list(_config(record))
        if heading == "outcome":
            sections["mask, before and after"] = list(_start_and_end(record))
    return {heading: lines for heading, lines in sections.items() if lines}


def some_rounds(rounds: Sequence[RoundRecord], most: int = 8) -> list[RoundRecord]:
    """At most ``most`` rounds: the first, the last and others evenly between."""
    if len(rounds) <= most:
        return list(rounds)
    return [rounds[round(index * (len(rounds) - 1) / (most - 1))] for index in range(most)]


def mask_remarks(record: TrialRecord) -> list[str]:
    """Sentences about masks that equal scores or rounding decided; none where the scores decided."""
    if not record.tied_kept and not record.unconserved_layers:
        return []
    from pruning.remarks import remarks  # imports torch, which other reports do without

    return list(remarks(record.kept, record.tied_kept, record.tied_candidates, record.unconserved_layers))


def field_text(name: str, value: Any) -> str:
    """One value; numbers that are no integers have six digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith(("_hash", "_fingerprint")):
        return str(value)
    if name == "versions":
        return ", ".join(f"{package} {version}" for package, version in json.loads(value).items())
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and 1000 <= abs(value) < 1e15 else f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _start_and_end(record: TrialRecord) -> Iterator[tuple[str, ...]]:
    for start, end in START_AND_END.items():
        values = (getattr(record, start), getattr(record, end) if end else None)
        if any(value is not None for value in values):
            yield (start, *("" if value is None else field_text(start, value) for value in values))


def _config(record: TrialRecord) -> Iterator[tuple[str, str]]:
    """One line for each part of the config: ``training  epochs=2 batch_size=128 …``."""
    config = json.loads(record.config or "{}")
    for part in _CONFIG_PARTS:
        if part in config:
            yield part, " ".join(f"{key}={value}" for key, value in leaves(config[part]))
