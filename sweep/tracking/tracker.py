"""Tracker: shows trials in a tool for experiment tracking."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sweep.config.trial_config import TrialConfig
from sweep.records import EpochRecord, TrialRecord


class Tracker(Protocol):
    """Shows trials in a tool for experiment tracking. Raises nothing, and its methods return at once.

    A watcher of a launch (:class:`sweep.engines.Watcher`) that also shows the report's files.
    """

    def started(self, trial: TrialConfig) -> None:
        """A trial began, or began again."""

    def epoch(self, record: EpochRecord) -> None:
        """A running trial finished an epoch."""

    def finished(self, record: TrialRecord) -> None:
        """A trial ended, and its records are in the store."""

    def add_artifacts(self, paths: Sequence[Path]) -> None:
        """Show files of the report (figures, tables), instead of earlier files of the same names."""

    def close(self) -> None:
        """Finish what is under way, within a limited time."""


class NoTracker:
    """The tracker of a sweep with ``tracking.enabled: false``: does nothing."""

    def started(self, trial: TrialConfig) -> None:  # noqa: D102
        pass

    def epoch(self, record: EpochRecord) -> None:  # noqa: D102
        pass

    def finished(self, record: TrialRecord) -> None:  # noqa: D102
        pass

    def add_artifacts(self, paths: Sequence[Path]) -> None:  # noqa: D102
        pass

    def close(self) -> None:  # noqa: D102
        pass
