"""Stop: the request to end a launch early."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from sweep.errors import GpuError, InputError, StoreError

if TYPE_CHECKING:
    from sweep.store.requests import Request  # which takes pyarrow


def in_main_thread() -> bool:
    """Whether this is the main thread, the only one that receives signals and may set their handlers."""
    return threading.current_thread() is threading.main_thread()


class Stop:
    """A request to stop: a signal, ``sweep stop`` or ``sweep cancel``, a store or GPU that cannot be used any more, or
    repeated failures.

    There are two kinds. After ``sweep stop`` no trial starts and the running ones go on to their end. After all others
    the running ones are interrupted too. The first signal requests it; the second ends the process as it would without
    us.

    Attributes:
        signal: the signal's number, if one came.
        error: what makes going on impossible: the store, the GPU, or a machine with other code or images.
        reason: why going on makes no sense, in a sentence.
        asked: the request of ``sweep stop`` or ``sweep cancel``, if one came.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.error: InputError | StoreError | GpuError | None = None
        self.reason: str | None = None
        self.asked: Request | None = None
        self._terminals: list[int] = []  # file descriptors of output that goes to a terminal

    @property
    def requested(self) -> bool:
        """Whether running trials are to be interrupted. Then none may start either."""
        is_cancelled = self.asked is not None and self.asked.interrupts
        return is_cancelled or self.signal is not None or self.error is not None or self.reason is not None

    @property
    def may_start(self) -> bool:
        """Whether trials may still start."""
        return self.asked is None and not self.requested

    def request(self, number: int, frame: FrameType | None = None) -> None:
        """Signal handler."""
        self.signal = number
        if number == signal.SIGHUP:
            self._discard_output()
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)

    def fail(self, error: InputError | StoreError | GpuError) -> None:
        """Stop because nothing can be stored or run any more. The first error counts."""
        self.error = self.error or error

    def give_up(self, reason: str) -> None:
        """Stop for a reason that is neither signal nor error. The first reason counts."""
        self.reason = self.reason or reason

    def ask(self, request: Request) -> None:
        """Do what ``sweep stop`` or ``sweep cancel`` asks for."""
        self.asked = request

    def _discard_output(self) -> None:
        """Send output to /dev/null: after a hang-up, printing to the terminal raises."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in self._terminals:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Handle Ctrl-C, SIGTERM and hang-ups inside the block; does nothing outside the main thread.

        Hang-ups that are ignored (``nohup``) stay ignored.
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
