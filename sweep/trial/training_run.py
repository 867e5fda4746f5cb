"""One training of a trial, with its checkpoints; iterative pruning has several of them."""

from dataclasses import asdict

from torch import nn

import pruning
from pruning.compaction.compaction import MAX_MACS_SHARE, Compaction, NotCompacted, try_compact
from pruning.compaction.narrowing import WIDTH
from sweep.config.compute import Compute
from sweep.records import EpochRecord
from sweep.trial.callbacks import Callbacks, Interrupted
from sweep.trial.checkpoints import Checkpoint, Checkpointer
from sweep.trial.progress import Progress
from sweep.trial.record_fields import trained_network_fields
from sweep.trial.setup import Setup
from sweep.trial.stage import StageReports
from training import loop
from training.optimizer import OPTIMIZERS


class TrainingRun:
    """One training, from its start or from a checkpoint to its last epoch.

    Attributes:
        masking: the masks of the complete network, and how they change.
        compaction: the smaller network that is trained instead; None where the complete one is.
        training: the loop over steps and epochs.
        first_epoch: the epoch of the recipe that this training began with, from 1.
        earlier_epochs: epochs of the trial's earlier trainings.
        dense_gradients: of the masking, when the current epoch began.

    Args:
        setup, progress, checkpointer, callbacks, stages: of the trial.
        masking: as above.
        compute: whether to train a smaller network, and with CUDA graphs.
        first_epoch: as above.
        checkpoint: the checkpoint to continue from, made by a training with the same arguments.
    """

    def __init__(
        self,
        setup: Setup,
        masking: pruning.Masking,
        progress: Progress,
        checkpointer: Checkpointer,
        callbacks: Callbacks,
        stages: StageReports,
        *,
        compute: Compute,
        first_epoch: int = 1,
        checkpoint: Checkpoint | None = None,
    ):
        self.setup, self.progress, self.checkpointer, self.callbacks = setup, progress, checkpointer, callbacks
        self.masking, self.first_epoch, self.stages = masking, first_epoch, stages
        network = _network(setup, masking) if compute.compact else NotCompacted("compaction is off (compute.compact)")
        progress.fields |= trained_network_fields(network, progress.fields)
        self.compaction = network if isinstance(network, Compaction) else None
        self.training = self._training(compute.graphs)
        self.earlier_epochs = checkpoint["before"] if checkpoint else len(progress.epochs)
        self.dense_gradients = checkpoint["dense_gradients"] if checkpoint else masking.dense_gradients
        self._is_new = checkpoint is None
        if checkpoint:
            state = checkpoint["training"]
            self.training.load(self.compaction.narrow(state) if self.compaction else state)

    def _training(self, graphs: str) -> loop.Training:
        model: nn.Module = self.compaction.model if self.compaction else self.setup.model
        masking = pruning.FixedMask(self.compaction.masks) if self.compaction else self.masking
        trial = self.setup.trial
        return loop.Training(
            model,
            self.setup.splits,
            trial.training,
            trial.seed,
            masking=masking,
            device=self.setup.device,
            first_epoch=self.first_epoch,
            accumulate=self.progress.accumulate,
            on_step=self._after_step,
            graphs=graphs,
        )

    def run(self) -> None:
        """Train to the last epoch; the weights end up in ``setup.model``.

        Raises:
            Interrupted: the trial was stopped; a checkpoint is saved.
            Diverged: a loss is not finite.
            StoreError: a checkpoint cannot be written.
        """
        if self._is_new and self.checkpointer.is_notable:
            self.save()  # so that pruning is not repeated
        for result in self.training.run():
            self._add_cost()
            self.progress.fields |= {"step": self.training.step, "data_wait": self.training.data_wait}
            epoch = self._trial_epoch(result.epoch)
            record = EpochRecord(**asdict(result) | {"trial_id": self.progress.trial_id, "epoch": epoch})
            self.progress.epochs.append(record)
            stopping = self.callbacks.report(record)
            if stopping or self.checkpointer.is_cheap:
                self.save()
            if stopping:
                raise Interrupted
        if self.compaction:
            self.compaction.restore(self.setup.model)

    def save(self) -> None:
        """Save a checkpoint. It holds the complete network, so that any device and setting can continue from it."""
        state = self.training.state()
        self.checkpointer.save(
            {
                **self.progress.to_checkpoint(),
                "masking": self.masking.state(),
                "training": self.compaction.widen(state, self.setup.model) if self.compaction else state,
                "first_epoch": self.first_epoch,
                "before": self.earlier_epochs,
                "dense_gradients": self.dense_gradients,
            }
        )

    def _after_step(self) -> None:
        """Stop if the caller asks for it; save what would be lost in a long epoch."""
        if self.stages.is_due:
            epoch, share = self.training.position
            self.stages.epoch(self._trial_epoch(epoch), share)
        stopping = self.callbacks.stopping()
        if stopping or self.checkpointer.is_due:
            self.save()
        if stopping:
            raise Interrupted

    def _trial_epoch(self, epoch: int) -> int:
        """The number among the epochs of all trainings of an epoch of this one."""
        return self.earlier_epochs + 1 + epoch - self.first_epoch

    def _add_cost(self) -> None:
        """Add the epoch that has just ended to the costs."""
        setup, cost, config = self.setup, self.progress.cost, self.setup.trial.training
        removed = setup.macs_removed(self.masking.masks)
        dense_gradients = self.masking.dense_gradients - self.dense_gradients
        cost.add_epoch(setup.images, setup.steps, setup.macs_dense - removed)
        cost.add_dense_gradients(dense_gradients * config.batch_size, removed)
        self.dense_gradients = self.masking.dense_gradients
        self.progress.fields |= cost.record_fields(setup.images, config.epochs, setup.macs_dense)


def _network(setup: Setup, masking: pruning.Masking) -> Compaction | NotCompacted:
    """The smaller network to train, or why the complete one is trained."""
    optimizer = setup.trial.training.optimizer
    if not isinstance(masking, pruning.FixedMask):
        return NotCompacted("the mask changes during or after training")
    if not OPTIMIZERS[optimizer].elementwise:
        return NotCompacted(f"the optimizer {optimizer} is not elementwise")
    network = try_compact(setup.model, masking.masks, setup.input_shape, multiple_of=WIDTH)
    if isinstance(network, Compaction) and network.macs > MAX_MACS_SHARE * network.macs_dense:
        return NotCompacted(f"{network.macs / network.macs_dense:.0%} of the multiply-accumulates would be left")
    return network
