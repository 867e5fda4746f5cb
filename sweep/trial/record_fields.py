"""Fields of a trial's record, from its config, its pruning, its diagnostics, its epochs and its failure."""

import traceback
from collections.abc import Sequence
from dataclasses import fields
from statistics import median
from typing import Any

import pruning
from pruning.compaction.compaction import Compaction, NotCompacted
from pruning.diagnostics import Diagnostics
from pruning.masks import count
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.config.trial_identity import canonical
from sweep.records import FAILED, EpochRecord, Outcome, RoundRecord, TrialRecord
from sweep.text import redacted
from sweep.trial import provenance

RecordFields = dict[str, Any]


def config_fields(trial: TrialConfig) -> RecordFields:
    """What the trial is."""
    return {
        "trial_id": trial_id(trial),
        "data": trial.data.name,
        "data_encoding": None,
        "architecture": trial.architecture.name,
        "architecture_options": canonical(dict(trial.architecture.options)),
        "architecture_label": trial.architecture.label,
        "method": trial.method.name,
        "method_options": canonical(dict(trial.method.options)),
        "method_label": trial.method_label,
        "sparsity": trial.sparsity,
        "seed": trial.seed,
        "config": trial.to_json(),
        "ablation": trial.ablation,
    }


def error_fields(error: BaseException) -> RecordFields:
    """Type, message and traceback of the error that ended a trial, without secrets in addresses."""
    trace = "".join(traceback.format_exception(error))
    return {
        "error_type": type(error).__name__,
        "error_message": redacted(_message(error))[:2000],
        "traceback": redacted(trace)[-4000:],
    }


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"a method or network called sys.exit({'' if error.code is None else repr(error.code)})"
    try:
        return str(error)
    except Exception as another:  # the __str__ of an exception class of the user's own may raise anything
        return f"(its message cannot be read: {type(another).__name__})"


def failed_outcome(trial: TrialConfig, **known: Any) -> Outcome:
    """The outcome of a trial that failed without returning one, as when its process was killed.

    Args:
        known: further fields of its record.
    """
    known |= {name: redacted(known[name]) for name in ("error_message", "traceback") if known.get(name)}
    return Outcome(TrialRecord(**config_fields(trial), **provenance.code(), status=FAILED, **known))


def epoch_fields(epochs: Sequence[EpochRecord]) -> RecordFields:
    """Summary of all epochs, those of earlier trainings included."""
    if not epochs:
        return {}
    last, validated = epochs[-1], [e for e in epochs if e.validation_accuracy is not None]
    best = max(validated, key=lambda e: e.validation_accuracy or 0.0, default=None)
    return {
        "epochs": len(epochs),
        "train_accuracy": last.train_accuracy,
        "train_loss": last.train_loss,
        "validation_accuracy": last.validation_accuracy,
        "best_validation_accuracy": best.validation_accuracy if best else None,
        "best_epoch": best.epoch if best else None,
        "train_seconds": sum(e.epoch_seconds for e in epochs),
        "images_per_second": median(e.images_per_second for e in epochs),
    }


def start_fields(diagnostics: Diagnostics, masks: pruning.Masks) -> RecordFields:
    """The masks and the network that a training starts from."""
    names = ("effective_sparsity", "effective_nodes", "log_paths", "empty_layers", "disconnected")
    others = ("macs_dense", "macs_kept", "speedup", "gradient_norm", "force_objective")
    return {name: getattr(diagnostics, name) for name in (*names, *others)} | {
        "prunable": sum(mask.numel() for mask in masks.values()),
        "kept": count(masks),
        "achieved_sparsity": diagnostics.sparsity,
        "compression_ratio": diagnostics.compression_ratio,
    }


def trained_network_fields(network: Compaction | NotCompacted, start: RecordFields) -> RecordFields:
    """The network that is trained: the smaller one, or the one of ``start`` and why.

    Args:
        start: the fields of :func:`start_fields`.
    """
    smaller = network if isinstance(network, Compaction) else None
    return {
        "trained_weights": smaller.weights if smaller else start["prunable"],
        "trained_macs": smaller.macs if smaller else start["macs_dense"],
        "trained_whole": network.reason if isinstance(network, NotCompacted) else None,
    }


def final_fields(diagnostics: Diagnostics) -> RecordFields:
    """The masks and the network that are tested."""
    names = ("sparsity", "effective_sparsity", "effective_nodes", "log_paths", "empty_layers", "disconnected")
    others = ("macs_kept", "gradient_norm", "force_objective")
    return {f"final_{name}": getattr(diagnostics, name) for name in (*names, *others)}


def round_fields(rounds: Sequence[pruning.Round]) -> RecordFields:
    """The rounds that made the masks."""
    names = [field.name for field in fields(RoundRecord)]
    return {
        "rounds": tuple(RoundRecord(**{name: getattr(r, name) for name in names}) for r in rounds),
        "revived": sum(r.revived for r in rounds),
        "tied_kept": rounds[-1].tied_kept if rounds else None,
        "tied_candidates": rounds[-1].tied_candidates if rounds else None,
    }


def pruning_fields(pruned: pruning.Pruned) -> RecordFields:
    """The pruning that made the masks which training starts from."""
    unconserved = None if pruned.unconserved is None else len(pruned.unconserved)
    return {
        **round_fields(pruned.rounds),
        "prune_seconds": pruned.seconds,
        "prune_passes": pruned.passes,
        "unconserved_layers": unconserved,
        "prunable_share": pruned.prunable_share,
    }
