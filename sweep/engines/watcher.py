"""Watcher: receives what happens while trials run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from sweep.config.trial_config import TrialConfig
    from sweep.records import EpochRecord, TrialRecord
    from sweep.trial.stage import Stage


class Watcher(Protocol):
    """Receives what happens, in order, in the launching process. Its methods return quickly: trials wait meanwhile."""

    def started(self, trial: TrialConfig) -> None:
        """A trial began, or began again in another process."""

    def epoch(self, record: EpochRecord) -> None:
        """A running trial finished an epoch. Engines may leave out epochs."""

    def finished(self, record: TrialRecord) -> None:
        """A trial ended, with any status, and its records are in the store."""


@runtime_checkable
class Display(Watcher, Protocol):
    """A watcher that also shows what takes long. Engines may leave out these methods."""

    def preparing(self, text: str) -> None:
        """The engine does something that takes seconds before trials run: ``starting Ray``."""

    def prepared(self) -> None:
        """The engine has checked and read what it needs: what fails from here on is no bad input."""

    def stage(self, stage: Stage) -> None:
        """A running trial is so far: at most once a second. It may come late, after the trial has ended."""

    def preempted(self, trial_id: str, times: int) -> None:
        """A trial runs again after its machine was taken away, for the ``times``-th time in this launch."""

    def waiting(self, reason: str) -> None:
        """Why trials that wait now do, as the rest of a sentence; empty where nothing is to be said. Comes often."""


class Watchers:
    """Several watchers as one: each call goes to all that have it, in order.

    Args:
        watchers: these.
        on_prepared: is called once, when the engine is prepared or starts its first trial.
    """

    def __init__(self, watchers: Sequence[Watcher], on_prepared: Callable[[], None] = lambda: None):
        self._watchers = watchers
        self._on_prepared, self._is_prepared = on_prepared, False
        self._displays = [watcher for watcher in watchers if isinstance(watcher, Display)]

    def preparing(self, text: str) -> None:  # noqa: D102
        for display in self._displays:
            display.preparing(text)

    def prepared(self) -> None:  # noqa: D102
        if not self._is_prepared:
            self._is_prepared = True
            self._on_prepared()
        for display in self._displays:
            display.prepared()

    def stage(self, stage: Stage) -> None:  # noqa: D102
        for display in self._displays:
            display.stage(stage)

    def preempted(self, trial_id: str, times: int) -> None:  # noqa: D102
        for display in self._displays:
            display.preempted(trial_id, times)

    def waiting(self, reason: str) -> None:  # noqa: D102
        for display in self._displays:
            display.waiting(reason)

    def started(self, trial: TrialConfig) -> None:  # noqa: D102
        if not self._is_prepared:
            self.prepared()
        for watcher in self._watchers:
            watcher.started(trial)

    def epoch(self, record: EpochRecord) -> None:  # noqa: D102
        for watcher in self._watchers:
            watcher.epoch(record)

    def finished(self, record: TrialRecord) -> None:  # noqa: D102
        for watcher in self._watchers:
            watcher.finished(record)
