"""The science of one trial, from images to accuracy, with what it has found so far."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

import pruning
from pruning.ablations import INVERT, REINITIALIZE, SHUFFLE, shuffle_layerwise
from pruning.compaction.compaction import MAX_MACS_SHARE, Compaction, NotCompacted, try_compact
from pruning.compaction.narrowing import WIDTH
from pruning.diagnostics import Diagnostics, MaskCounts, diagnose
from pruning.macs import macs, positions
from pruning.masks import count, kept_count
from pruning.problem import Batch
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.records import EpochRecord, MaskRecord
from sweep.trial import metrics as recording
from sweep.trial.checkpoints import Keeper, State, facts_of, plain
from sweep.trial.networks import SAME_AGAIN, build_network
from training import data, loop, resuming, seeding
from training.optimizer import OPTIMIZERS, steps_per_epoch

AnyDataset = data.Dataset | data.StreamedDataset
logger = logging.getLogger(__name__)


class Interrupted(Exception):
    """Raised to stop a trial: it is recorded as interrupted, with what it has so far."""


class Science:
    """One trial, run once or from a checkpoint on.

    Attributes:
        facts: fields of its record.
        epochs, masks: its other records.
        saved: the checkpoint that it went on from, if there was one.

    Args:
        trial: what to run.
        keeper: of its checkpoints.
        device: to run on.
        compact: train the smaller network where that pays.
        graphs: "auto" or "off", see `training.loop.Training`.
        accumulate: micro-batches a step, if others than the recipe's.
        stopping: whether to stop.
        history: what a checkpoint is to say besides: of the attempts up to now.
    """

    def __init__(
        self,
        trial: TrialConfig,
        keeper: Keeper,
        device: str,
        *,
        compact: bool,
        graphs: str,
        accumulate: int | None,
        stopping: Callable[[], bool],
        history: Callable[[State | None], State],
    ):
        self.trial, self.device, self.id = trial, torch.device(device), trial_id(trial)
        self.keeper, self.compact, self.graphs, self.accumulate = keeper, compact, graphs, accumulate
        self.stopping, self.history = stopping, history
        self.first: list[Batch] = []
        self.facts: dict[str, Any] = {}
        self.epochs: list[EpochRecord] = []
        self.masks: list[MaskRecord] = []
        self.saved: State | None = None

    def run(self, dataset: AnyDataset, on_epoch: Callable[[EpochRecord], None]) -> None:
        """Everything, from the images to the accuracy."""
        self.method = pruning.find(self.trial.method.name)  # one of your own may be missing here
        self.options = self.method.options | dict(self.trial.method.options)
        self.saved = self.keeper.load()
        model = self.look(dataset)
        if self.saved and self.saved["facts"]["data_fingerprint"] != self.facts["data_fingerprint"]:
            logger.warning(f"trial {self.id} begins anew: its checkpoint is of other images than there are now")
            self.saved = None
        if self.saved:
            masking, epoch, state = self.resume(self.saved, model)
        else:
            masking, epoch, state = self.masking(self.prune(model)), 1, None
            self.begin(model, masking)
        while True:
            self.fit(model, masking, epoch, state, on_epoch)
            following, state = masking.after_training(model), None
            if following is None:  # as always, but for masks that are made after a training
                break
            epoch = following
            self.begin(model, masking)
        self.end(model, masking)

    def look(self, dataset: AnyDataset) -> nn.Module:
        """The network at its initial weights; note what every method at this seed shares."""
        trial = self.trial
        self.splits = data.split(dataset, trial.data, trial.seed, self.device)
        model = self.build("weights")
        self.first = self.batches(1, trial.pruning.batches)
        self.uses = positions(model, self.input_shape)
        self.cost = recording.Cost(macs(pruning.prunable(model), self.uses, torch.numel))
        order = self.splits.train.order(seeding.generator(trial.seed, "training", 1))
        self.facts |= {
            "data_encoding": dataset.encoding,
            "data_fingerprint": dataset.fingerprint,
            "data_content": dataset.content,
            "classes": dataset.classes,
            "initial_weights_hash": recording.weights_hash(model),
            "training_order_hash": recording.sha256([order.numpy().tobytes()]),
            "pruning_batches_hash": recording.sha256(recording.tensor_bytes(t) for batch in self.first for t in batch),
        }
        return model

    def build(self, purpose: str) -> nn.Module:
        """The network at its initial weights: the same for every method at one seed."""
        with seeding.seeded(self.trial.seed, purpose, device=self.device):
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

        def on_round(step: int) -> None:
            if self.stopping():
                raise Interrupted

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
            exclude=settings.exclude,
            graphs=self.graphs,
            on_round=on_round,
            on_remark=lambda sentence: None,  # its numbers are in the record
            **dict(trial.method.options),
        )
        self.cost.add_pruning(pruned)
        self.facts |= {
            "prune_seconds": pruned.seconds,
            "prune_passes": pruned.passes,
            "prune_flops": self.cost.flops,
            **recording.of_pruning(pruned),
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

    def begin(self, model: nn.Module, masking: pruning.Masking) -> None:
        """Make the ablation of the mask, if it is the one to end with, and note what training starts from."""
        if self.is_final(masking.masks) and self.trial.ablation == SHUFFLE:
            masking.masks = shuffle_layerwise(masking.masks, seeding.generator(self.trial.seed, "ablation"))
        self.set_weights(model, masking.masks)
        found = self.diagnose(model, masking.masks)
        self.facts |= recording.at_start(found, masking.masks)
        self.note(masking.masks, found.layers, found.layers)

    def is_final(self, masks: pruning.Masks) -> bool:
        """Whether they are those to end with: iterative pruning has others before them."""
        return count(masks) == kept_count(sum(mask.numel() for mask in masks.values()), self.trial.sparsity)

    def set_weights(self, model: nn.Module, masks: pruning.Masks) -> None:
        """Draw the weights again, if that is the ablation."""
        if self.is_final(masks) and self.trial.ablation == REINITIALIZE:
            fresh = self.build("weights, drawn again")
            if recording.weights_hash(fresh) == self.facts["initial_weights_hash"]:
                raise ValueError(SAME_AGAIN)
            model.load_state_dict(fresh.state_dict())

    def resume(self, saved: State, model: nn.Module) -> tuple[pruning.Masking, int, State]:
        """Go on from a checkpoint: its masking, the epoch that its training began with, and how far that was.

        Raises:
            ValueError: it is of another version of the code, or of a network of your own that is another now.
        """
        self.facts |= facts_of(saved["facts"])
        self.epochs = [EpochRecord(**epoch) for epoch in saved["epochs"]]
        self.masks = [MaskRecord(**mask) for mask in saved["masks"]]
        self.cost.passes, self.cost.flops = saved["passes"], saved["flops"]
        self.accumulate = self.accumulate or saved["accumulate"]
        steps = steps_per_epoch(len(self.splits.train), self.trial.training.batch_size)
        masking = self.masking({name: mask.to(self.device) for name, mask in saved["masking"]["masks"].items()})
        try:
            resuming.check(saved["training"], model, steps)
            masking.load(saved["masking"])
        except ValueError as error:
            raise ValueError(
                f"its checkpoint does not fit: {error}; sweep retry {self.id} --force begins it anew"
            ) from error
        self.set_weights(model, masking.masks)
        return masking, saved["first_epoch"], saved

    def fit(
        self,
        model: nn.Module,
        masking: pruning.Masking,
        first: int,
        saved: State | None,
        on_epoch: Callable[[EpochRecord], None],
    ) -> None:
        """One training, from its beginning or from where it was saved, to its end."""
        trial = self.trial
        small = self.compaction(model, masking)
        trained, mask = (small.model, pruning.FixedMask(small.masks)) if small else (model, masking)
        training = loop.Training(
            trained, self.splits, trial.training, trial.seed, masking=mask, device=self.device, first_epoch=first,
            accumulate=self.accumulate, on_step=lambda: self.pause(training, keep), graphs=self.graphs,
        )  # fmt: skip
        # epochs are counted on from those of earlier trainings
        before = saved["before"] if saved else len(self.epochs)
        counted = saved["dense_gradients"] if saved else masking.dense_gradients
        if saved:
            training.load(small.narrow(saved["training"]) if small else saved["training"])

        def keep() -> None:
            state = training.state()
            self.keep(masking, small.widen(state, model) if small else state, first, before, counted)

        if not saved and self.keeper.is_notable:
            keep()  # so that pruning need not be done again
        for result in training.run():
            self.count_epoch(masking, counted)
            self.facts |= {"step": training.step, "data_wait": training.data_wait}
            counted = masking.dense_gradients
            epoch = before + 1 + result.epoch - first
            self.epochs.append(EpochRecord(**asdict(result) | {"trial_id": self.id, "epoch": epoch}))
            stopping = self.tell(on_epoch)
            if stopping or self.keeper.is_cheap:
                keep()
            if stopping:
                raise Interrupted
        if small:
            small.restore(model)

    def tell(self, on_epoch: Callable[[EpochRecord], None]) -> bool:
        """Tell of the epoch that has just ended. Whether to stop after it."""
        try:
            on_epoch(self.epochs[-1])
        except Interrupted:
            return True
        return self.stopping()

    def pause(self, training: loop.Training, keep: Callable[[], None]) -> None:
        """Between two steps: stop, if asked to, or save what a long epoch would lose."""
        stopping = self.stopping()
        if stopping or self.keeper.is_due:
            keep()
        if stopping:
            raise Interrupted

    def keep(self, masking: pruning.Masking, training: State, first: int, before: int, dense_gradients: int) -> None:
        """Save how far the trial is."""
        self.keeper.save(
            {
                "facts": plain(self.facts),
                "epochs": [asdict(epoch) for epoch in self.epochs],
                "masks": [asdict(mask) for mask in self.masks],
                "passes": self.cost.passes,
                "flops": self.cost.flops,
                "accumulate": self.accumulate,
                "masking": masking.state(),
                "training": training,
                "first_epoch": first,
                "before": before,
                "dense_gradients": dense_gradients,
                **self.history(self.saved),
            }
        )

    def count_epoch(self, masking: pruning.Masking, dense_gradients: int) -> None:
        """Note what an epoch has cost; ``dense_gradients`` had been taken before it."""
        images, size = len(self.splits.train), self.trial.training.batch_size
        removed = {name: ~mask for name, mask in masking.masks.items()}  # excluded layers are kept
        kept = self.cost.macs_dense - macs(removed, self.uses, torch.count_nonzero)
        self.cost.add_epoch(images, steps_per_epoch(images, size), kept)
        self.cost.add_dense_gradients((masking.dense_gradients - dense_gradients) * size, kept)
        self.facts |= self.cost.facts(images, self.trial.training.epochs)

    def compaction(self, model: nn.Module, masking: pruning.Masking) -> Compaction | None:
        """The smaller network to train instead, if the mask is to stay and it pays; note what is trained."""
        found = self.compacted(model, masking)
        small = found if isinstance(found, Compaction) else None
        self.facts |= recording.trained(small, self.facts) | {"trained_whole": getattr(found, "reason", None)}
        return small

    def compacted(self, model: nn.Module, masking: pruning.Masking) -> Compaction | NotCompacted:
        """The smaller network, or why the whole one is trained."""
        if not self.compact:
            return NotCompacted("compaction is off (compute.compact)")
        if not isinstance(masking, pruning.FixedMask):
            return NotCompacted("the mask changes during or after training")
        if not OPTIMIZERS[self.trial.training.optimizer].elementwise:
            return NotCompacted(f"the optimizer {self.trial.training.optimizer} is not elementwise")
        found = try_compact(model, masking.masks, self.input_shape, multiple_of=WIDTH)
        if isinstance(found, Compaction) and found.macs > MAX_MACS_SHARE * found.macs_dense:
            return NotCompacted(f"{found.macs / found.macs_dense:.0%} of the multiply-accumulates would be left")
        return found

    def end(self, model: nn.Module, masking: pruning.Masking) -> None:
        """What is left when all training is done, and how well it does."""
        trial, masks = self.trial, masking.masks
        pruning.apply(model, masks)  # even when there was no epoch
        found = self.diagnose(model, masks)
        if masking.rounds:
            self.facts |= recording.of_rounds(masking.rounds)
        self.facts |= recording.at_end(found)
        self.note(masks, found.layers, {mask.tensor: mask for mask in self.masks})
        with seeding.seeded(trial.seed, "test", device=self.device):  # some networks draw in evaluation, too
            accuracy, loss = loop.evaluate(
                model, self.splits.test, device=self.device, precision=trial.training.precision
            )
        self.facts |= {
            "test_accuracy": accuracy,
            "test_loss": loss,
            "final_weights_hash": recording.weights_hash(model),
        }

    def diagnose(self, model: nn.Module, masks: pruning.Masks) -> Diagnostics:
        """On the pruning batches of round one, whatever the method."""
        settings = self.trial.pruning
        return diagnose(model, masks, self.first, settings.loss, settings.mode == "train", exclude=settings.exclude)

    def note(
        self, masks: pruning.Masks, layers: Mapping[str, MaskCounts], start: Mapping[str, MaskCounts | MaskRecord]
    ) -> None:
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
