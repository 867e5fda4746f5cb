"""Callbacks: the functions of a trial's caller that hear of its epochs and may stop it."""

from collections.abc import Callable
from dataclasses import dataclass

from sweep.records import EpochRecord
from sweep.trial.stage import Stage


class Interrupted(Exception):
    """Raised to stop a trial. It is recorded as interrupted, with the epochs that it has completed."""


@dataclass(frozen=True)
class Callbacks:
    """What the caller of a trial wants to be asked and told.

    Attributes:
        on_epoch: called with the record of every epoch that ends; may raise :class:`Interrupted`.
        stopping: called after every training step, pruning round and epoch; true stops the trial there.
        on_stage: called with how far the trial is, at most once a second.
    """

    on_epoch: Callable[[EpochRecord], None]
    stopping: Callable[[], bool]
    on_stage: Callable[[Stage], None] = lambda stage: None

    def report(self, epoch: EpochRecord) -> bool:
        """Call ``on_epoch``. True if the trial is to stop after this epoch."""
        try:
            self.on_epoch(epoch)
        except Interrupted:
            return True
        return self.stopping()
