"""A trial: seed → data → model → prune → train → records. Callable from a notebook; knows nothing of where it runs."""

import hashlib
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median
from typing import Any, cast

import torch
from torch import nn

import pruning
from pruning.diagnostics import diagnose
from pruning.masks import digest
from pruning.packing import entropy_bytes, pack
from pruning.problem import Batch
from sweep import provenance
from sweep.axes import Choice
from sweep.config import SweepConfig, TrialConfig, canonical
from sweep.errors import InputError
from sweep.grid import trial_id
from sweep.records import (
    COMPLETED,
    DIVERGED,
    FAILED,
    INTERRUPTED,
    EpochRecord,
    MaskRecord,
    Outcome,
    RoundRecord,
    TrialRecord,
)
from training import data, loop, models, seeding

AnyDataset = data.Dataset | data.StreamedDataset


class Interrupted(Exception):
    """Raised by a caller's ``on_epoch`` to stop a trial: it is recorded as interrupted, with what it has so far."""


def run_trial(
    trial: TrialConfig,
    dataset: AnyDataset | None = None,
    *,
    device: str = "cpu",
    sweep: str = "",
    cluster: str | None = None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Outcome:
    """Run one trial to its end. Never raises for what goes wrong inside: failure is a record.

    Args:
        trial: what to run.
        dataset: ``training.data.load(trial.data)``, where it is at hand already.
        device: "cpu", "cuda" or "cuda:1".
        sweep, cluster: names for the record.
        on_epoch: told after every epoch; may raise :class:`Interrupted`.
    """
    provenance.reset_peak_memory(device)
    run = _Run(trial, device)
    facts: dict[str, Any] = {"status": COMPLETED}
    begin, started = time.perf_counter(), datetime.now(UTC)
    try:
        run.science(dataset, on_epoch)
    except (Interrupted, KeyboardInterrupt):
        facts["status"] = INTERRUPTED
    except Exception as error:  # the one place where a failure becomes a record
        facts |= {
            "status": DIVERGED if isinstance(error, loop.Diverged) else FAILED,
            "error_type": type(error).__name__,
            "error_message": str(error)[:2000],
            "traceback": traceback.format_exc()[-4000:],
        }
    facts |= provenance.facts(device) | {"started": started, "seconds": time.perf_counter() - begin, "cluster": cluster}
    record = TrialRecord(**{**describe(trial), **run.facts, **_fit(run.epochs), **facts, "sweep": sweep})
    return Outcome(record, tuple(run.epochs), tuple(run.masks))


def load_data(config: SweepConfig | TrialConfig) -> AnyDataset:
    """The images of a sweep or trial, once it is sure that there are enough of them for what is asked.

    Raises:
        DataError: the data cannot be read.
        InputError: more images are held out, or drawn for pruning, than there are.
    """
    dataset, settings = data.load(config.data), config.pruning
    try:
        left = len(data.split(dataset, config.data, 0, "cpu").train)
    except ValueError as error:
        raise InputError(f"data.{error}") from None
    asked = settings.batches * settings.batch_size
    if asked > left:
        raise InputError(
            f"pruning.batch_size: a round draws {asked} images, and {left} are there to train on; lower it"
        )
    if settings.sampling == "balanced" and asked % dataset.classes:
        raise InputError(
            f"pruning.batch_size: sampling is balanced over {dataset.classes} classes, and {asked} images a round are"
            f" no multiple of that; set it to {max(1, round(settings.batch_size / dataset.classes)) * dataset.classes}"
        )
    return dataset


class _Run:
    """The science of one trial, with what it has found so far."""

    def __init__(self, trial: TrialConfig, device: str):
        self.trial, self.device, self.id = trial, torch.device(device), trial_id(trial)
        self.facts: dict[str, Any] = {}
        self.epochs: list[EpochRecord] = []
        self.masks: list[MaskRecord] = []

    def science(self, dataset: AnyDataset | None, on_epoch: Callable[[EpochRecord], None]) -> None:
        trial, seed = self.trial, self.trial.seed
        dataset = load_data(trial) if dataset is None else dataset
        splits = data.split(dataset, trial.data, seed, self.device)
        model = self.build()
        order = splits.train.order(seeding.generator(seed, "training", 1))
        self.facts |= {
            "data_encoding": dataset.encoding,
            "data_fingerprint": dataset.fingerprint,
            "classes": dataset.classes,
            "initial_weights_hash": weights_hash(model),
            "training_order_hash": _sha256([order.numpy().tobytes()]),
        }
        masks = self.prune(model, splits.train)
        masking = pruning.FixedMask(masks)
        for result in loop.train(model, splits, trial.training, seed, masking=masking, device=self.device):
            self.epochs.append(EpochRecord(trial_id=self.id, **asdict(result)))
            on_epoch(self.epochs[-1])
        pruning.apply(model, masks)  # even when there was no epoch
        accuracy, loss = loop.evaluate(model, splits.test, device=self.device, precision=trial.training.precision)
        self.facts |= {"test_accuracy": accuracy, "test_loss": loss, "final_weights_hash": weights_hash(model)}

    def build(self) -> nn.Module:
        """The network at its initial weights: the same for every method at one seed."""
        with seeding.seeded(self.trial.seed, "weights"):
            return build_network(self.trial.architecture, self.trial.data).to(self.device)

    def prune(self, model: nn.Module, train: data.Split) -> pruning.Masks:
        """Masks by the trial's method; what they are and what they do goes into the records."""
        trial, settings = self.trial, self.trial.pruning
        first = self.batches(train, 1)

        def supply(step: int) -> list[Batch]:
            return self.batches(train, step) if settings.fresh_batches and step > 1 else first

        pruned = pruning.prune(
            model,
            trial.method.name,
            trial.sparsity,
            supply,
            loss=settings.loss,
            train_mode=settings.mode == "train",
            generator=seeding.generator(trial.seed, "pruning"),
            input_shape=tuple(first[0][0].shape[1:]),
            **dict(trial.method.options),
        )
        found = diagnose(model, pruned.masks, first, settings.loss, settings.mode == "train")
        self.masks = list(mask_records(self.id, pruned.masks, found.effective_kept))
        prunable, kept = sum(m.total for m in self.masks), sum(m.kept for m in self.masks)
        diagnostics = {k: v for k, v in asdict(found).items() if k != "effective_kept"}
        self.facts |= diagnostics | {
            "pruning_batches_hash": _sha256(t.cpu().contiguous().numpy().tobytes() for batch in first for t in batch),
            "prunable": prunable,
            "kept": kept,
            "achieved_sparsity": 1 - kept / prunable,
            "rounds": tuple(RoundRecord(**asdict(r)) for r in pruned.rounds),
            "revived": sum(r.revived for r in pruned.rounds),
            "mask_hash": _sha256(m.hash.encode() for m in self.masks),
            "mask_entropy_bytes": sum(entropy_bytes(mask) for mask in pruned.masks.values()),
            "prune_seconds": pruned.seconds,
            "prune_passes": pruned.passes,
        }
        return pruned.masks

    def batches(self, train: data.Split, step: int) -> list[Batch]:
        """The pruning batches of one round: drawn from (seed, "pruning batches", round), whatever the method."""
        settings = self.trial.pruning
        return train.sample(
            settings.batches * settings.batch_size,
            seeding.generator(self.trial.seed, "pruning batches", step),
            batch_size=settings.batch_size,
            balanced=settings.sampling == "balanced",
            augment=settings.augment,
        )


def build_network(architecture: Choice, config: data.DataConfig) -> nn.Module:
    """The architecture for a (resolved) data set's images and classes, initialised from torch's global generator."""
    channels, classes = data.info(config.name).channels, cast(int, config.classes)
    options = dict(architecture.options)
    return models.build(architecture.name, classes=classes, channels=channels, size=config.side, **options)


def weights_hash(model: nn.Module) -> str:
    """sha256 (hex) of all parameters and buffers by name."""
    state = model.state_dict()
    return _sha256(name.encode() + t.detach().cpu().contiguous().numpy().tobytes() for name, t in state.items())


def _sha256(pieces: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()


def describe(trial: TrialConfig) -> dict[str, Any]:
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
        "method_label": trial.method.label,
        "sparsity": trial.sparsity,
        "seed": trial.seed,
        "config": trial.to_json(),
    }


def _fit(epochs: list[EpochRecord]) -> dict[str, Any]:
    """What the trial's row says about its epochs."""
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


def mask_records(trial: str, masks: pruning.Masks, effective_kept: dict[str, int]) -> Iterable[MaskRecord]:
    """One record a masked tensor, in order of the network."""
    for position, (name, mask) in enumerate(masks.items()):
        encoding, packed = pack(mask)
        kept = int(mask.count_nonzero())
        yield MaskRecord(
            trial_id=trial,
            tensor=name,
            position=position,
            shape=tuple(mask.shape),
            total=mask.numel(),
            kept=kept,
            density=kept / mask.numel(),
            effective_kept=effective_kept[name],
            encoding=encoding,
            packed=packed,
            hash=digest(mask),
        )
