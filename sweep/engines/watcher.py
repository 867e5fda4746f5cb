"""Watcher: receives what happens while trials run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sweep.config.trial_config import TrialConfig
    from sweep.records import EpochRecord, TrialRecord


class Watcher(Protocol):
    """Receives what happens, in order, in the launching process. Its methods return quickly: trials wait meanwhile."""

    def started(self, trial: TrialConfig) -> None:
        """A trial began, or began again in another process."""

    def epoch(self, record: EpochRecord) -> None:
        """A running trial finished an epoch. Engines may leave out epochs."""

    def finished(self, record: TrialRecord) -> None:
        """A trial ended, with any status, and its records are in the store."""


class Watchers:
    """Several watchers as one: each call goes to all of them, in order."""

    def __init__(self, watchers: Sequence[Watcher]):
        self._watchers = watchers

    def started(self, trial: TrialConfig) -> None:  # noqa: D102
        for watcher in self._watchers:
            watcher.started(trial)

    def epoch(self, record: EpochRecord) -> None:  # noqa: D102
        for watcher in self._watchers:
            watcher.epoch(record)

    def finished(self, record: TrialRecord) -> None:  # noqa: D102
        for watcher in self._watchers:
            watcher.finished(record)
