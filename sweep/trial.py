"""A trial: seed → data → model → prune → train → records. Callable from a notebook; knows nothing of where it runs."""

import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast

import torch
from torch import nn

import pruning
from pruning.ablations import INVERT, REINITIALIZE, SHUFFLE, shuffle_layerwise
from pruning.compaction import PAYS, WIDTH, Compaction
from pruning.diagnostics import Diagnostics, Layer, diagnose, positions
from pruning.masks import count, kept_count
from pruning.problem import Batch
from sweep import provenance, recording
from sweep.axes import Choice
from sweep.config import SweepConfig, TrialConfig
from sweep.errors import InputError
from sweep.grid import trial_id
from sweep.records import COMPLETED, DIVERGED, FAILED, INTERRUPTED, EpochRecord, MaskRecord, Outcome, TrialRecord
from training import data, loop, models, seeding
from training.optimizer import steps_per_epoch

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
    compact: bool = True,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Outcome:
    """Run one trial to its end. Never raises for what goes wrong inside: failure is a record.

    Args:
        trial: what to run.
        dataset: ``training.data.load(trial.data)``, where it is at hand already.
        device: "cpu", "cuda" or "cuda:1".
        sweep, cluster: names for the record.
        compact: train the smaller network that the mask leaves, where that pays: the same up to rounding.
        on_epoch: told after every epoch; may raise :class:`Interrupted`.
    """
    provenance.reset_peak_memory(device)
    run = _Run(trial, device, compact)
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
    record = TrialRecord(
        **{**recording.describe(trial), **run.facts, **recording.fit(run.epochs), **facts, "sweep": sweep}
    )
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

    def __init__(self, trial: TrialConfig, device: str, compact: bool):
        self.trial, self.device, self.id = trial, torch.device(device), trial_id(trial)
        self.compact = compact
        self.method = pruning.find(trial.method.name)
        self.options = self.method.options | dict(trial.method.options)
        self.first: list[Batch] = []
        self.facts: dict[str, Any] = {}
        self.epochs: list[EpochRecord] = []
        self.masks: list[MaskRecord] = []

    def science(self, dataset: AnyDataset | None, on_epoch: Callable[[EpochRecord], None]) -> None:
        """Everything, from the images to the accuracy."""
        trial = self.trial
        dataset = load_data(trial) if dataset is None else dataset
        self.splits = data.split(dataset, trial.data, trial.seed, self.device)
        model = self.build("weights")
        self.first = self.batches(1, trial.pruning.batches)
        self.uses = positions(model, self.input_shape)
        self.cost = recording.Cost(sum(self.uses[n] * w.numel() for n, w in pruning.prunable(model).items()))
        order = self.splits.train.order(seeding.generator(trial.seed, "training", 1))
        self.facts |= {
            "data_encoding": dataset.encoding,
            "data_fingerprint": dataset.fingerprint,
            "classes": dataset.classes,
            "initial_weights_hash": recording.weights_hash(model),
            "training_order_hash": recording.sha256([order.numpy().tobytes()]),
            "pruning_batches_hash": recording.sha256(recording.tensor_bytes(t) for batch in self.first for t in batch),
        }
        masking = self.masking(self.prune(model))
        epoch: int | None = 1
        while epoch is not None:  # once, but for masks that are made after a training
            start = self.begin(model, masking)
            self.fit(model, masking, epoch, on_epoch)
            epoch = masking.after_training(model)
        self.end(model, masking, start)

    def build(self, purpose: str) -> nn.Module:
        """The network at its initial weights: the same for every method at one seed."""
        with seeding.seeded(self.trial.seed, purpose):
            model = build_network(self.trial.architecture, self.trial.data).to(self.device)
        # pruning, too, takes its gradients in the layout that training does
        return model.to(memory_format=torch.channels_last) if self.trial.training.channels_last else model  # type: ignore[call-overload]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Channels, height, width."""
        return tuple(self.first[0][0].shape[1:])

    def prune(self, model: nn.Module) -> pruning.Masks:
        """The masks that training starts with, by the trial's method."""
        trial, settings = self.trial, self.trial.pruning
        asked = max(settings.batches, self.method.batches(self.options))

        def supply(step: int) -> list[Batch]:
            return self.batches(step if settings.fresh_batches else 1, asked)

        pruned = pruning.prune(
            model,
            trial.method.name,
            0.0 if self.method.starts_dense else trial.sparsity,
            supply,
            loss=settings.loss,
            train_mode=settings.mode == "train",
            invert=trial.ablation == INVERT,
            generator=seeding.generator(trial.seed, "pruning"),
            input_shape=self.input_shape,
            precision=settings.precision,
            **dict(trial.method.options),
        )
        self.cost.add_pruning(pruned)
        self.facts |= {
            "prune_seconds": pruned.seconds,
            "prune_passes": pruned.passes,
            "prune_flops": self.cost.flops,
            **recording.of_rounds(pruned.rounds),
        }
        return pruned.masks

    def masking(self, masks: pruning.Masks) -> pruning.Masking:
        """What happens to these masks in training."""
        if self.method.masking is None:
            return pruning.FixedMask(masks)
        trial, steps = self.trial, steps_per_epoch(len(self.splits.train), self.trial.training.batch_size)
        draws, invert = seeding.generator(trial.seed, "masking"), trial.ablation == INVERT
        course = pruning.Course(trial.sparsity, trial.training.epochs, steps, draws, invert)
        return self.method.masking(masks, course, **{n: self.options[n] for n in self.method.masking_options})

    def begin(self, model: nn.Module, masking: pruning.Masking) -> dict[str, Layer]:
        """Make the ablation of the mask, if it is the one to end with, and note what training starts from."""
        trial, masks = self.trial, masking.masks
        total = sum(mask.numel() for mask in masks.values())
        if count(masks) == kept_count(total, trial.sparsity):  # iterative pruning has others before it
            if trial.ablation == SHUFFLE:
                masking.masks = masks = shuffle_layerwise(masks, seeding.generator(trial.seed, "ablation"))
            if trial.ablation == REINITIALIZE:
                model.load_state_dict(self.build("weights, drawn again").state_dict())
        found = self.diagnose(model, masks)
        self.facts |= recording.at_start(found, masks)
        self.note(masks, found.layers, found.layers)
        return found.layers

    def fit(
        self, model: nn.Module, masking: pruning.Masking, first: int, on_epoch: Callable[[EpochRecord], None]
    ) -> None:
        """One training, to its end. Epochs are counted on from those of earlier trainings."""
        trial, images = self.trial, len(self.splits.train)
        size = trial.training.batch_size
        before = len(self.epochs) + 1 - first
        small = self.compaction(model, masking)
        trained, mask = (small.model, pruning.FixedMask(small.masks)) if small else (model, masking)
        results = loop.train(
            trained, self.splits, trial.training, trial.seed, masking=mask, device=self.device, first_epoch=first
        )
        dense_gradients = masking.dense_gradients
        for result in results:
            macs = recording.macs(masking.masks, self.uses)
            self.cost.add_epoch(images, steps_per_epoch(images, size), macs)
            self.cost.add_dense_gradients((masking.dense_gradients - dense_gradients) * size, macs)
            dense_gradients = masking.dense_gradients
            self.facts |= self.cost.facts(images, trial.training.epochs)
            values = asdict(result) | {"trial_id": self.id, "epoch": before + result.epoch}
            self.epochs.append(EpochRecord(**values))
            on_epoch(self.epochs[-1])
        if small:
            small.restore(model)

    def compaction(self, model: nn.Module, masking: pruning.Masking) -> Compaction | None:
        """The smaller network to train instead, if the mask is to stay and it pays; note what is trained."""
        small = None
        if self.compact and isinstance(masking, pruning.FixedMask):
            small = pruning.compact(model, masking.masks, self.input_shape, multiple_of=WIDTH)
            small = small if small and small.macs <= PAYS * small.macs_dense else None
        self.facts |= recording.trained(small, self.facts)
        return small

    def end(self, model: nn.Module, masking: pruning.Masking, start: dict[str, Layer]) -> None:
        """What is left when all training is done, and how well it does."""
        trial, masks = self.trial, masking.masks
        pruning.apply(model, masks)  # even when there was no epoch
        found = self.diagnose(model, masks)
        if masking.rounds:
            self.facts |= recording.of_rounds(masking.rounds)
        self.facts |= recording.at_end(found)
        self.note(masks, found.layers, start)
        accuracy, loss = loop.evaluate(model, self.splits.test, device=self.device, precision=trial.training.precision)
        self.facts |= {
            "test_accuracy": accuracy,
            "test_loss": loss,
            "final_weights_hash": recording.weights_hash(model),
        }

    def diagnose(self, model: nn.Module, masks: pruning.Masks) -> Diagnostics:
        """On the pruning batches of round one, whatever the method."""
        settings = self.trial.pruning
        return diagnose(model, masks, self.first, settings.loss, settings.mode == "train")

    def note(self, masks: pruning.Masks, layers: dict[str, Layer], start: dict[str, Layer]) -> None:
        """Put masks into the records: a trial that fails in training has those that it started with."""
        self.masks = list(recording.mask_records(self.id, masks, layers, start))
        self.facts |= recording.of_masks(self.masks, masks)

    def batches(self, step: int, number: int) -> list[Batch]:
        """The pruning batches of one round: drawn from (seed, "pruning batches", round), whatever the method.

        A method that needs more than the config asks for is given further ones beside those that all methods see.
        """
        settings, train = self.trial.pruning, self.splits.train
        if step == 1 and self.first and number == settings.batches:
            return self.first

        def draw(some: int, purpose: str) -> list[Batch]:
            return train.sample(
                some * settings.batch_size,
                seeding.generator(self.trial.seed, purpose, step),
                batch_size=settings.batch_size,
                balanced=settings.sampling == "balanced",
                augment=settings.augment,
            )

        found = draw(settings.batches, "pruning batches")
        for extra in range(settings.batches, number):
            found += draw(1, f"pruning batches, batch {extra}")
        return found


def build_network(architecture: Choice, config: data.DataConfig) -> nn.Module:
    """The architecture for a (resolved) data set's images and classes, initialised from torch's global generator."""
    channels, classes = data.info(config.name).channels, cast(int, config.classes)
    options = dict(architecture.options)
    return models.build(architecture.name, classes=classes, channels=channels, size=config.side, **options)
