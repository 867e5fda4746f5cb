"""A worker process as the parent sees it."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

from sweep import imports
from sweep.config.trial_config import TrialConfig
from sweep.engines.processes import worker
from sweep.engines.processes.worker import DISCONNECTED, WorkerSetup
from sweep.errors import InputError


class WorkerProcess:
    """A running worker.

    Attributes:
        slot: its number among the N; its replacement gets the same number, and so the same GPU.
        trial: the trial that it runs, if any.
        dismissed: whether it was told that there are no more trials.
        pipe: to and from it.
    """

    def __init__(self, context: ForkServerContext | SpawnContext, slot: int, setup: WorkerSetup):
        self.slot, self.dismissed = slot, False
        self.trial: TrialConfig | None = None
        self.pipe, theirs = context.Pipe()
        # not a daemon: daemons may not have children, and some workers have children that decode images
        self._process = started(
            lambda: context.Process(target=worker.work, args=(theirs, slot), name=f"sweep worker {slot}")
        )
        theirs.close()
        self._send(setup)

    def begin(self, trial: TrialConfig) -> None:
        """Hand it a trial."""
        self.trial = trial
        self._send(trial)

    def dismiss(self) -> None:
        """Tell it that there are no more trials. A running trial is interrupted at the next step."""
        if not self.dismissed:
            self.dismissed = True
            self._send(None)

    def close(self, seconds: float) -> int:
        """Wait for its end, and kill it after ``seconds``. Returns the exit code, negative for a signal."""
        self.pipe.close()
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode
        self._process.close()
        return -1 if code is None else code

    def _send(self, message: WorkerSetup | TrialConfig | None) -> None:
        with suppress(*DISCONNECTED):  # a dead worker is noticed when its pipe is read
            self.pipe.send(message)


def how_it_ended(code: int) -> str:
    """How a process with this exit code ended, as the end of a sentence."""
    return f"exited with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"


def started(make: Callable[[], BaseProcess]) -> BaseProcess:
    """A started process. Tries again if the process that forks it dies at that moment: it is replaced."""
    for pause in (0.1, 0.5, 2.0, None):
        process = make()
        try:
            with imports.for_new_processes():  # it may be the forking process that starts here
                process.start()
            return process
        except DISCONNECTED:
            if pause is None:
                raise InputError("--jobs: no worker process can be started; what it printed is above") from None
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")
