"""What the driver is told while trials run, and how it asks them to stop."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.errors import GpuError, StoreError
from sweep.records import EpochRecord, TrialRecord
from sweep.store.claims import Ledger


def in_main_thread() -> bool:
    """Whether this thread is the one that gets signals, and may say what is to be done with them."""
    return threading.current_thread() is threading.main_thread()


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
    """A request to stop: by a signal, by a store that takes nothing any more, or a GPU, or by failures of one reason.

    The first signal asks for it; the second ends the process the usual way.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.error: StoreError | GpuError | None = None
        self.reason: str | None = None  # to stop that is neither: in a sentence
        self._terminals: list[int] = []  # descriptors that are printed to

    @property
    def requested(self) -> bool:
        """Whether somebody asked, or there is no going on."""
        return self.signal is not None or self.error is not None or self.reason is not None

    def request(self, number: int, frame: FrameType | None = None) -> None:
        """Signal handler."""
        self.signal = number
        if number == signal.SIGHUP:
            self._print_nowhere()
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)

    def fail(self, error: StoreError | GpuError) -> None:
        """Nothing can be stored or run any more."""
        self.error = self.error or error

    def give_up(self, reason: str) -> None:
        """It makes no sense to go on."""
        self.reason = self.reason or reason

    def _print_nowhere(self) -> None:
        """The terminal is gone, and what is printed to it raises."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in self._terminals:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)

    @contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Listen to Ctrl-C, SIGTERM and hang-ups inside. Not in another thread than the main one, which has no signals.

        Hang-ups that are ignored (``nohup``) stay so.
        """
        if not in_main_thread():
            yield self
            return
        self._terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self.request) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


Engine = Callable[[SweepConfig, Sequence[TrialConfig], Ledger, Watcher, Stop], None]
"""Runs trials and stores their records: ``inline.run`` here, ``on_ray.run`` on Ray. Trials that the ledger
does not give it are left out. Returns when all others have ended or, after ``Stop`` was requested, when those that ran
have saved a checkpoint and are recorded ``interrupted``. A store that takes nothing is told to ``Stop``, or raised."""
