"""The facts of one trial for people: under headings, by the names of the record's columns."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sweep.records import RoundRecord, TrialRecord
from sweep.report.trials import leaves

Rows = list[tuple[str, ...]]  # a column's name and its value, or its values at the start and at the end

_GROUPS = {  # heading -> columns of the record, in order
    "what": (
        *("trial_id", "sweep", "status", "data", "data_encoding", "data_fingerprint", "data_content", "classes"),
        *("architecture_label", "method_label", "ablation", "sparsity", "seed"),
    ),
    "outcome": (
        *("test_accuracy", "test_loss", "validation_accuracy", "best_validation_accuracy", "best_epoch"),
        *("train_accuracy", "train_loss", "epochs", "attempts", "accumulate"),
        *("error_type", "error_message", "traceback"),
    ),
    "mask": (
        *("prunable", "prunable_share", "kept", "compression_ratio", "speedup", "revived", "mask_bytes"),
        *("mask_entropy_bytes", "tied_kept", "tied_candidates", "unconserved_layers"),
    ),
    "price": (
        *("prune_seconds", "prune_passes", "prune_flops", "passes", "training_flops", "training_flops_share"),
        *("trained_weights", "trained_macs", "trained_whole", "train_seconds", "images_per_second", "seconds"),
        *("peak_memory_bytes", "device_memory_bytes"),
    ),
    "what every method at this seed shares": ("initial_weights_hash", "pruning_batches_hash", "training_order_hash"),
    "what came of it": ("mask_hash", "final_weights_hash"),
    "where it ran": (
        *("started", "written", "outcome", "host", "device", "threads", "cluster"),
        *("git_commit", "git_dirty", "versions"),
    ),
}  # fmt: skip
_BOTH = {  # column at the start of the (last) training -> the same of the tested network
    "achieved_sparsity": "final_sparsity",
    "effective_sparsity": "final_effective_sparsity",
    "empty_layers": "final_empty_layers",
    "disconnected": "final_disconnected",
    "macs_dense": None,
    "macs_kept": "final_macs_kept",
    "gradient_norm": "final_gradient_norm",
    "force_objective": "final_force_objective",
}
BOTH_HEADING = ("", "at the start", "after training")
_IN_CONFIG = ("data", "pruning", "training")  # its parts; the rest is under "what"


def facts(record: TrialRecord) -> dict[str, Rows]:
    """Heading -> (column, value); under "mask, before and after" also the value after training. None is left out."""
    found: dict[str, Rows] = {}
    for heading, columns in _GROUPS.items():
        found[heading] = [(name, text(name, getattr(record, name))) for name in columns if _known(record, name)]
        if heading == "what":
            found["config"] = list(_config(record))
        if heading == "outcome":
            found["mask, before and after"] = list(_both(record))
    return {heading: rows for heading, rows in found.items() if rows}


def some_rounds(rounds: Sequence[RoundRecord], most: int = 8) -> list[RoundRecord]:
    """The first, the last and others evenly between."""
    if len(rounds) <= most:
        return list(rounds)
    return [rounds[round(place * (len(rounds) - 1) / (most - 1))] for place in range(most)]


def text(name: str, value: Any) -> str:
    """One value: hashes cut to 16 digits, numbers to six."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith(("_hash", "_fingerprint")):
        return f"{value[:16]}…" if len(value) > 16 else str(value)
    if name == "versions":
        return ", ".join(f"{package} {version}" for package, version in json.loads(value).items())
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and 1000 <= abs(value) < 1e15 else f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _known(record: TrialRecord, name: str) -> bool:
    return getattr(record, name) is not None


def _both(record: TrialRecord) -> Iterator[tuple[str, ...]]:
    for start, end in _BOTH.items():
        values = (getattr(record, start), getattr(record, end) if end else None)
        if any(value is not None for value in values):
            yield (start, *("" if value is None else text(start, value) for value in values))


def _config(record: TrialRecord) -> Iterator[tuple[str, str]]:
    """A line for each part of the config: ``training  epochs=2 batch_size=128 …``."""
    config = json.loads(record.config or "{}")
    for part in _IN_CONFIG:
        if part in config:
            yield part, " ".join(f"{key}={value}" for key, value in leaves(config[part]))
