"""From what a trial found to what its records say: pure functions, and the count of what it cost."""

import hashlib
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any

from torch import Tensor, nn

import pruning
from pruning.compaction.compaction import Compaction
from pruning.diagnostics import Diagnostics, MaskCounts
from pruning.masks import count, digest
from pruning.packing import entropy_bytes, pack
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig, canonical
from sweep.records import FAILED, EpochRecord, MaskRecord, Outcome, RoundRecord, TrialRecord
from sweep.text import redacted
from sweep.trial import provenance

Facts = dict[str, Any]


def describe(trial: TrialConfig) -> Facts:
    """Fields of a TrialRecord that say what the trial is."""
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


def failure(error: BaseException) -> Facts:
    """What is to be said of an error that ended a trial. No secret in an address is."""
    trace = "".join(traceback.format_exception(error))
    return {
        "error_type": type(error).__name__,
        "error_message": redacted(_said(error))[:2000],
        "traceback": redacted(trace)[-4000:],
    }


def _said(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"a method or network called sys.exit({'' if error.code is None else repr(error.code)})"
    try:
        return str(error)
    except Exception as another:  # one of your own may not know what to say
        return f"(its message cannot be read: {type(another).__name__})"


def lost(trial: TrialConfig, **facts: Any) -> Outcome:
    """A failed trial that could not speak for itself; ``facts`` are further fields of its record."""
    facts |= {name: redacted(facts[name]) for name in ("error_message", "traceback") if facts.get(name)}
    return Outcome(TrialRecord(**describe(trial), **provenance.code(), status=FAILED, **facts))


def fit(epochs: Sequence[EpochRecord]) -> Facts:
    """What the trial's row says about its epochs, those of earlier trainings included."""
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


def at_start(found: Diagnostics, masks: pruning.Masks) -> Facts:
    """The mask as a training starts."""
    names = ("effective_sparsity", "empty_layers", "disconnected", "macs_dense", "macs_kept", "speedup")
    return {name: getattr(found, name) for name in (*names, "gradient_norm", "force_objective")} | {
        "prunable": sum(mask.numel() for mask in masks.values()),
        "kept": count(masks),
        "achieved_sparsity": found.sparsity,
        "compression_ratio": found.compression_ratio,
    }


def trained(small: Compaction | None, facts: Facts) -> Facts:
    """The network that does the training: the smaller one, or the whole."""
    return {
        "trained_weights": small.weights if small else facts["prunable"],
        "trained_macs": small.macs if small else facts["macs_dense"],
    }


def at_end(found: Diagnostics) -> Facts:
    """The same of the tested network."""
    names = ("sparsity", "effective_sparsity", "empty_layers", "disconnected", "macs_kept")
    return {f"final_{name}": getattr(found, name) for name in (*names, "gradient_norm", "force_objective")}


def of_rounds(rounds: Sequence[pruning.Round]) -> Facts:
    """How the mask came about."""
    names = [field.name for field in fields(RoundRecord)]
    return {
        "rounds": tuple(RoundRecord(**{name: getattr(r, name) for name in names}) for r in rounds),
        "revived": sum(r.revived for r in rounds),
        "tied_kept": rounds[-1].tied_kept if rounds else None,
        "tied_candidates": rounds[-1].tied_candidates if rounds else None,
    }


def of_pruning(pruned: pruning.Pruned) -> Facts:
    """How the mask that training starts from came about."""
    unconserved = None if pruned.unconserved is None else len(pruned.unconserved)
    return {
        **of_rounds(pruned.rounds),
        "unconserved_layers": unconserved,
        "prunable_share": pruned.prunable_share,
    }


def of_masks(records: Sequence[MaskRecord], masks: pruning.Masks) -> Facts:
    """The masks' name and the least room that they can take."""
    return {
        "mask_hash": sha256(record.hash.encode() for record in records),
        "mask_entropy_bytes": sum(entropy_bytes(mask) for mask in masks.values()),
    }


def mask_records(
    trial: str, masks: pruning.Masks, layers: Mapping[str, MaskCounts], start: Mapping[str, MaskCounts | MaskRecord]
) -> Iterable[MaskRecord]:
    """One record a masked tensor, in order of the network.

    Args:
        trial: its id.
        masks: what is stored.
        layers: measured on them.
        start: the same of the masks that the last training started from.
    """
    for position, (name, mask) in enumerate(masks.items()):
        encoding, packed = pack(mask)
        layer = layers[name]
        yield MaskRecord(
            trial_id=trial,
            tensor=name,
            position=position,
            shape=tuple(mask.shape),
            total=layer.total,
            kept=layer.kept,
            density=layer.kept / layer.total,
            effective_kept=layer.effective_kept,
            encoding=encoding,
            packed=packed,
            hash=digest(mask),
            effective_density=None if layer.effective_kept is None else layer.effective_kept / layer.total,
            start_kept=start[name].kept,
            start_effective_kept=start[name].effective_kept,
            macs_dense=layer.macs_dense,
            macs_kept=layer.macs_kept,
        )


@dataclass
class Cost:
    """Forward and backward passes of a trial, and their floating-point operations if zeros cost nothing.

    Two operations a multiply-accumulate, a backward pass twice a forward one; of the prunable layers.

    Attributes:
        macs_dense: multiply-accumulates of the dense network for one image.
    """

    macs_dense: int
    passes: int = 0
    flops: float = 0.0

    def add_pruning(self, pruned: pruning.Pruned) -> None:
        """Before training. Its passes are over the dense network: gradients of removed weights are taken too."""
        self.passes += pruned.passes
        self.flops += 2.0 * self.macs_dense * pruned.work

    def add_epoch(self, images: int, steps: int, macs: int) -> None:
        """One epoch of training of a network with ``macs`` kept multiply-accumulates."""
        self.passes += 2 * steps
        self.flops += 2.0 * 3 * macs * images

    def add_dense_gradients(self, images: int, macs: int) -> None:
        """Gradients of removed weights too, over ``images``: no further pass, but the rest of one."""
        self.flops += 2.0 * (self.macs_dense - macs) * images

    def facts(self, images: int, epochs: int) -> Facts:
        """Fields of the record; the share is of training the dense network for ``epochs`` on ``images`` once."""
        dense = 2.0 * 3 * self.macs_dense * images * epochs
        return {
            "passes": self.passes,
            "training_flops": self.flops,
            "training_flops_share": self.flops / dense if dense else None,
        }


def weights_hash(model: nn.Module) -> str:
    """sha256 (hex) of all parameters and buffers by name."""
    return sha256(name.encode() + tensor_bytes(tensor) for name, tensor in model.state_dict().items())


def tensor_bytes(tensor: Tensor) -> bytes:
    """Its values in row-major order."""
    return tensor.detach().cpu().contiguous().numpy().tobytes()


def sha256(pieces: Iterable[bytes]) -> str:
    """Of all pieces together, in hex."""
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()
