"""What the driver is told while trials run, and how it asks them to stop."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from sweep.config import SweepConfig, TrialConfig
from sweep.records import EpochRecord, TrialRecord
from sweep.store import Store


class Watcher(Protocol):
    """Told of everything, on the driver, in order. Must return quickly: trials wait for nobody."""

    def started(self, trial: TrialConfig) -> None:
        """A trial began."""

    def epoch(self, record: EpochRecord) -> None:
        """A running trial finished an epoch. Not every epoch of every trial need be told."""

    def finished(self, record: TrialRecord) -> None:
        """A trial ended, whatever its status, and its records are in the store."""


class Watchers:
    """Several watchers as one."""

    def __init__(self, watchers: Sequence[Watcher]):
        self._watchers = watchers

    def started(self, trial: TrialConfig) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.started(trial)

    def epoch(self, record: EpochRecord) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.epoch(record)

    def finished(self, record: TrialRecord) -> None:
        """Tell all."""
        for watcher in self._watchers:
            watcher.finished(record)


class Stop:
    """A request to stop, made by a signal. The first asks; the second ends the process the usual way."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @property
    def requested(self) -> bool:
        """Whether somebody asked."""
        return self.signal is not None

    def request(self, number: int, frame: FrameType | None = None) -> None:
        """Signal handler."""
        self.signal = number
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)

    @contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Listen to Ctrl-C and SIGTERM inside."""
        before = {number: signal.signal(number, self.request) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


Engine = Callable[[SweepConfig, Sequence[TrialConfig], Store, Watcher, Stop], None]
"""Runs trials and stores their records: ``sweep.local.run`` here, ``sweep.launch.run`` on Ray. Returns when all
have ended or, after ``Stop`` was requested, when those that ran have stopped and are recorded ``interrupted``."""
