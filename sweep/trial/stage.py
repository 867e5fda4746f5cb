"""Stage: how far a running trial is, reported at most once a second. Imports no torch."""

import time
from collections.abc import Callable
from typing import NamedTuple

ROUND, EPOCH, TEST = "round", "epoch", "test"
REPORT_SECONDS = 1.0


class Stage(NamedTuple):
    """How far a running trial is.

    Attributes:
        trial_id: of the trial.
        name: ``ROUND`` of pruning, ``EPOCH`` of training, or ``TEST``.
        number: which round or epoch, from 1; epochs count over all trainings of the trial.
        of: how many there are.
        share: of this round or epoch that is done, in [0, 1].
        images: training images of the trial.
        macs: multiply-accumulates of its dense network for one image.
    """

    trial_id: str
    name: str
    number: int
    of: int
    share: float
    images: int
    macs: int

    def __str__(self) -> str:
        if self.name == TEST:
            return "testing"
        if self.name == ROUND:
            return f"pruning, round {self.number}/{self.of}" if self.of > 1 else "pruning"
        return f"epoch {self.number}/{self.of}, {int(100 * self.share)} %"


class StageReports:
    """Reports the stages of one trial, at most one a second.

    Args:
        trial_id, images, macs: as in :class:`Stage`.
        rounds, epochs: how many of them the trial has.
        report: called with each stage.
    """

    def __init__(
        self, trial_id: str, images: int, macs: int, rounds: int, epochs: int, report: Callable[[Stage], None]
    ):
        self._trial_id, self._images, self._macs, self._report = trial_id, images, macs, report
        self._rounds, self._epochs = rounds, epochs
        self._next = 0.0

    @property
    def is_due(self) -> bool:
        """Whether a second has passed since the last report."""
        return time.monotonic() >= self._next

    def round(self, number: int) -> None:
        """Report that a round of pruning begins, if a report is due."""
        self._at(ROUND, number, self._rounds, 0.0)

    def epoch(self, number: int, share: float) -> None:
        """Report how much of an epoch is done, if a report is due."""
        self._at(EPOCH, number, self._epochs, share)

    def test(self) -> None:
        """Report that the test begins, if a report is due."""
        self._at(TEST, 1, 1, 0.0)

    def _at(self, name: str, number: int, of: int, share: float) -> None:
        if self.is_due:
            self._next = time.monotonic() + REPORT_SECONDS
            self._report(Stage(self._trial_id, name, number, of, share, self._images, self._macs))
