"""The experiment of one trial: prune a network, train what is left, test it."""

from collections.abc import Mapping

import pruning
from pruning.ablations import INVERT, REINITIALIZE, SHUFFLE, shuffle_layerwise
from pruning.diagnostics import MaskCounts
from pruning.masks import count, kept_count
from pruning.problem import Batch
from sweep.config.trial_config import TrialConfig
from sweep.records import MaskRecord
from sweep.trial.callbacks import Callbacks, Interrupted
from sweep.trial.checkpoints import Checkpoint, Checkpointer
from sweep.trial.hashes import sha256, weights_hash
from sweep.trial.mask_records import mask_fields, mask_records
from sweep.trial.networks import SAME_AGAIN
from sweep.trial.progress import Progress
from sweep.trial.record_fields import final_fields, pruning_fields, round_fields, start_fields
from sweep.trial.settings import RunSettings
from sweep.trial.setup import AnyDataset, Setup
from sweep.trial.stage import StageReports
from sweep.trial.training_run import TrainingRun
from sweep.trial.weight_records import weight_records
from training import loop, resuming, seeding


class Experiment:
    """One trial, from its images to its accuracy. What it finds goes into ``progress``.

    Args:
        trial: what is run.
        dataset: its images.
        settings: how it is run.
        progress: of this trial.
        checkpointer: for its checkpoints.
        callbacks: of the caller.

    Raises:
        ValueError: the method or the network, which may be the user's own, cannot be imported or built.
    """

    def __init__(
        self,
        trial: TrialConfig,
        dataset: AnyDataset,
        settings: RunSettings,
        *,
        progress: Progress,
        checkpointer: Checkpointer,
        callbacks: Callbacks,
    ):
        self.trial, self.compute = trial, settings.compute
        self.progress, self.checkpointer, self.callbacks = progress, checkpointer, callbacks
        self.method = pruning.find(trial.method.name)
        self.options = self.method.options | dict(trial.method.options)
        self.setup = Setup(trial, dataset, settings.device)
        progress.fields |= self.setup.fields
        self.stages = StageReports(
            progress.trial_id,
            self.setup.images,
            self.setup.macs_dense,
            rounds=self.options["rounds"] if self.method.rounds else 1,
            epochs=self.method.rehearse(self.options, trial.training.epochs),
            report=callbacks.on_stage,
        )

    def run(self, checkpoint: Checkpoint | None) -> None:
        """Prune, train and test, from scratch or from a checkpoint.

        Raises:
            Interrupted: the trial was stopped.
            ValueError: the checkpoint was made by incompatible code.
        """
        if checkpoint:
            masking, first_epoch = self._resume(checkpoint), checkpoint["first_epoch"]
        else:
            masking, first_epoch = self._masking(self._prune()), 1
            self._start(masking)
        while True:
            TrainingRun(
                self.setup,
                masking,
                self.progress,
                self.checkpointer,
                self.callbacks,
                self.stages,
                compute=self.compute,
                first_epoch=first_epoch,
                checkpoint=checkpoint,
            ).run()
            next_epoch, checkpoint = masking.after_training(self.setup.model), None
            if next_epoch is None:  # always so, unless masks are made after a training
                break
            first_epoch = next_epoch
            self._start(masking)
        self._test(masking)

    def _prune(self) -> pruning.Masks:
        """The masks of the trial's method, which training starts with."""
        trial, settings = self.trial, self.trial.pruning
        number = max(settings.batches, self.method.batches(self.options))

        def supply(step: int) -> list[Batch]:
            return self.setup.batches(step if settings.fresh_batches else 1, number)

        def on_round(step: int) -> None:
            self.stages.round(step)
            if self.callbacks.stopping():
                raise Interrupted

        pruned = pruning.prune(
            self.setup.model,
            trial.method.name,
            0.0 if self.method.starts_dense else trial.sparsity,
            supply,
            loss=settings.loss,
            train_mode=settings.mode == "train",
            invert=trial.ablation == INVERT,
            generator=seeding.generator(trial.seed, "pruning"),
            input_shape=self.setup.input_shape,
            precision=settings.precision,
            exclude=settings.exclude,
            graphs=self.compute.graphs,
            on_round=on_round,
            on_remark=lambda sentence: None,  # the record has its numbers
            **dict(trial.method.options),
        )
        self.progress.cost.add_pruning(pruned, self.setup.macs_dense)
        self.progress.fields |= pruning_fields(pruned) | {"prune_flops": self.progress.cost.flops}
        return pruned.masks

    def _masking(self, masks: pruning.Masks) -> pruning.Masking:
        """How these masks change during and after training."""
        if self.method.masking is None:
            return pruning.FixedMask(masks)
        trial = self.trial
        draws, invert = seeding.generator(trial.seed, "masking"), trial.ablation == INVERT
        horizon = pruning.TrainingHorizon(trial.sparsity, trial.training.epochs, self.setup.steps, draws, invert)
        return self.method.masking(masks, horizon, **{n: self.options[n] for n in self.method.masking_options})

    def _start(self, masking: pruning.Masking) -> None:
        """Apply the ablation to final masks, and record what the training starts from."""
        if self._are_final(masking.masks) and self.trial.ablation == SHUFFLE:
            masking.masks = shuffle_layerwise(masking.masks, seeding.generator(self.trial.seed, "ablation"))
        self._reinitialize(masking.masks)
        diagnostics = self.setup.diagnose(masking.masks)
        self.progress.fields |= start_fields(diagnostics, masking.masks)
        self._record_masks(masking.masks, diagnostics.layers, diagnostics.layers)

    def _are_final(self, masks: pruning.Masks) -> bool:
        """Whether masks have the trial's sparsity; iterative pruning has others before them."""
        return count(masks) == kept_count(sum(mask.numel() for mask in masks.values()), self.trial.sparsity)

    def _reinitialize(self, masks: pruning.Masks) -> None:
        """Draw new weights, where that is the ablation and the masks are final."""
        if self._are_final(masks) and self.trial.ablation == REINITIALIZE:
            fresh = self.setup.build("weights, drawn again")
            if weights_hash(fresh) == self.progress.fields["initial_weights_hash"]:
                raise ValueError(SAME_AGAIN)
            self.setup.model.load_state_dict(fresh.state_dict())

    def _resume(self, checkpoint: Checkpoint) -> pruning.Masking:
        """Take masks and progress from a checkpoint.

        Raises:
            ValueError: the checkpoint was made by another version of the code, or with another network.
        """
        self.progress.restore(checkpoint)
        masks = {name: mask.to(self.setup.device) for name, mask in checkpoint["masking"]["masks"].items()}
        masking = self._masking(masks)
        try:
            resuming.check(checkpoint["training"], self.setup.model, self.setup.steps)
            masking.load(checkpoint["masking"])
        except ValueError as error:
            raise ValueError(
                f"its checkpoint does not fit: {error}; to run it from scratch: sweep retry"
                f" {self.progress.trial_id} --force"
            ) from error
        self._reinitialize(masking.masks)
        return masking

    def _test(self, masking: pruning.Masking) -> None:
        """Record the final masks, weights and test accuracy."""
        setup, fields, masks = self.setup, self.progress.fields, masking.masks
        self.stages.test()
        pruning.apply(setup.model, masks)  # even when there was no epoch
        diagnostics = setup.diagnose(masks)
        if masking.rounds:
            fields |= round_fields(masking.rounds)
        fields |= final_fields(diagnostics)
        self._record_masks(masks, diagnostics.layers, {mask.tensor: mask for mask in self.progress.masks})
        with seeding.seeded(self.trial.seed, "test", device=setup.device):  # some networks draw in evaluation, too
            accuracy, loss = loop.evaluate(
                setup.model, setup.splits.test, device=setup.device, precision=self.trial.training.precision
            )
        fields |= {
            "test_accuracy": accuracy,
            "test_loss": loss,
            "final_weights_hash": weights_hash(setup.model),
        }
        if self.compute.keep_weights == "final":
            self.progress.weights = list(weight_records(self.progress.trial_id, setup.model, masks))
            fields["kept_weights_hash"] = sha256(record.hash.encode() for record in self.progress.weights)

    def _record_masks(
        self, masks: pruning.Masks, layers: Mapping[str, MaskCounts], start: Mapping[str, MaskCounts | MaskRecord]
    ) -> None:
        """Record these masks. A trial that fails during training keeps the records of those that it started with."""
        self.progress.masks = list(mask_records(self.progress.trial_id, masks, layers, start))
        self.progress.fields |= mask_fields(self.progress.masks, masks)
