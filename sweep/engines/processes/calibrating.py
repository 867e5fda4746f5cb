"""Pieces of trials, timed in worker processes of this machine: as many at once as a launch would run trials.

Trials that run beside each other take longer than alone, so that pieces are timed in the same company.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import NamedTuple

from sweep import imports
from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.engines import mps
from sweep.engines.inline import check_device
from sweep.engines.preparing import reading
from sweep.engines.processes import worker
from sweep.engines.processes.process import how_it_ended, started
from sweep.engines.processes.starting import gpu_share, process_context, trials_at_once
from sweep.engines.processes.worker import DISCONNECTED, ProcessSetup
from sweep.engines.stop import Stop
from sweep.errors import InputError
from sweep.store import Store
from sweep.trial.run import load_data
from sweep.trial.settings import RunSettings
from sweep.trial.timing import Timing


class Timed(NamedTuple):
    """A trial, and what its pieces took, or why they could not be timed."""

    trial: TrialConfig
    result: Timing | str


def time_trials(
    sweep: SweepConfig,
    trials: Sequence[TrialConfig],
    store: Store,
    seconds: float,
    preparing: Callable[[str], None] = lambda text: None,
) -> Iterator[Timed]:
    """Time pieces of the trials again and again, in turn, for so long; a trial that cannot be timed is left out then.

    Args:
        sweep: whose settings count.
        trials: that are timed.
        store: with what is known of the sharing of GPUs; where it has to be measured, the result is kept there.
        seconds: after these no piece begins.
        preparing: is told what happens before.

    Raises:
        InputError: the trials need a GPU and there is none, or more cores than there are, or workers cannot start.
        DataError: the images cannot be read.
    """
    device, context = check_device(sweep), process_context()
    preparing(f"starting processes, {reading(sweep.data)}")
    with ExitStack() as stack:
        for_mps = stack.enter_context(mps.service()) if sweep.compute.mps and device == "cuda" else {}
        setup = ProcessSetup({**imports.variables(), **for_mps}, RunSettings.of(sweep, device), load_data(sweep))
        jobs = trials_at_once(context, setup, sweep, trials, store, preparing, Stop())
        setup = replace(setup, settings=replace(setup.settings, gpu_share=gpu_share(device, jobs)))
        preparing(f"timing pieces of trials, {jobs} at once, for {seconds:.0f} s")
        processes = [stack.enter_context(closing(_Process(context, setup, slot))) for slot in range(jobs)]
        yield from _time(processes, deque(trials), seconds)


class _Process:
    """A worker process that times pieces, as the parent sees it."""

    def __init__(self, context: ForkServerContext | SpawnContext, setup: ProcessSetup, slot: int):
        self.trial: TrialConfig | None = None
        self.pipe, theirs = context.Pipe()
        self._process = started(lambda: context.Process(target=worker.time_pieces, args=(theirs, slot)))
        theirs.close()
        self.send(setup)

    def send(self, message: ProcessSetup | TrialConfig) -> None:
        with suppress(*DISCONNECTED):  # that it has ended is noticed when its pipe is read
            self.pipe.send(message)

    def close(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.join()

    def how_it_ended(self) -> str:
        self._process.join()
        return f"its process {how_it_ended(self._process.exitcode or 0)}"


def _time(processes: list[_Process], trials: deque[TrialConfig], seconds: float) -> Iterator[Timed]:
    until: float | None = None  # begins when the first process is ready
    while processes:
        for process in [each for each in processes if each.pipe in wait([each.pipe for each in processes])]:
            try:
                message, has_ended = process.pipe.recv(), False
            except (*DISCONNECTED, OSError):
                message, has_ended = process.how_it_ended(), True
            if has_ended and until is None:
                raise InputError(f"--calibrate: {message} as it started; what it printed is above")
            until = until or time.monotonic() + seconds
            if process.trial is not None:
                yield Timed(process.trial, message)
                if not isinstance(message, str):
                    trials.append(process.trial)
            process.trial = trials.popleft() if trials and time.monotonic() < until and not has_ended else None
            if process.trial is None:
                processes.remove(process)
            else:
                process.send(process.trial)
