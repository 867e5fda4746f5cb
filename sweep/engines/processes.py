"""The same trials on this machine, several at once, each in one of N worker processes: for a GPU that one trial does
not fill, where Ray is not installed, and for a core each.

The workers stay for the whole sweep: one import, one CUDA context and one copy of the images for all their trials.
This process hands out the trials and stores what comes back; it starts neither CUDA nor threads of torch's. Each
worker has a pipe of its own and shares nothing with the others, so that none of them can be killed in the middle of
what the others wait for. What goes through it:

    to a worker     its _Job, then trials one by one, and None: there is no more, and what runs is to be interrupted
    from a worker   None, ready; of each trial an EpochRecord an epoch, and its Outcome, or the StoreError that ended it

Checkpoints workers keep themselves: they see the store as this process does.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

import torch

from sweep import imports, streams
from sweep.config.config import SweepConfig
from sweep.config.grid import title, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines.inline import check_device
from sweep.engines.watching import Stop, Watcher
from sweep.errors import InputError, StoreError
from sweep.failures import WORKER_LOST
from sweep.records import EpochRecord, Outcome
from sweep.store.claims import Ledger
from sweep.trial.attempts import renew_or_end, run_attempts
from sweep.trial.metrics import lost
from sweep.trial.run import AnyDataset, load_data
from sweep.trial.settings import RunSettings
from training import allocator

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2  # until a request to stop is seen, which arrives as a signal and not through a pipe
CLOSE_SECONDS = 5.0  # for a worker to end by itself
_CUT_OFF = (EOFError, BrokenPipeError, ConnectionResetError)  # what a pipe says whose other end is gone


def run(
    sweep: SweepConfig, trials: Sequence[TrialConfig], ledger: Ledger, watch: Watcher, stop: Stop, *, jobs: int
) -> None:
    """Run ``trials`` on this machine, ``jobs`` at once, evenly on its GPUs, whatever share the config gives a trial.

    A trial whose worker is lost runs again in another, up to ``compute.max_failures`` times, and is recorded as failed
    after that. Once ``stop`` is requested no trial starts, and those that run save a checkpoint and are recorded as
    interrupted. Returns, also by an exception, without leaving a worker behind. In a script, call it below
    ``if __name__ == "__main__":``, since the workers import the script.

    Raises:
        InputError: a GPU is asked for and there is none, or more cores than there are, or workers cannot start.
    """
    if not trials:
        return
    device = check_device(sweep, jobs)
    context = _context()
    job = _Job(
        environment=imports.variables(),
        settings=RunSettings.of(sweep, device),
        ledger=ledger,
        dataset=load_data(sweep),
    )
    with closing(_Pool(context, job, trials, watch, stop)) as pool:
        pool.run(jobs)


def _context() -> ForkServerContext | SpawnContext:
    """How processes are started: forked off one that has imported torch and done nothing with it, where there are such.

    It begins to import at once, and ends with this process.
    """
    imports.put_root_first()
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with imports.for_new_processes():
        forkserver.ensure_running()
    return context


@dataclass(frozen=True)
class _Job:
    """What all trials of a sweep have in common, and the environment variables that a worker is to set."""

    environment: dict[str, str | None]
    settings: RunSettings
    ledger: Ledger
    dataset: AnyDataset


class _Worker:
    """A worker process, as this process sees it.

    Attributes:
        slot: which of the N it is: another in its place gets the same GPU.
        trial: what it runs, if anything.
        ended: whether it was told that there is no more.
    """

    def __init__(self, context: ForkServerContext | SpawnContext, slot: int, job: _Job):
        self.slot, self.ended = slot, False
        self.trial: TrialConfig | None = None
        self.pipe, theirs = context.Pipe()
        # not a daemon: those may not have children, and images from disk are decoded by some
        self._process = _started(
            lambda: context.Process(target=_work, args=(theirs, slot), name=f"sweep worker {slot}")
        )
        theirs.close()
        self._send(job)

    def begin(self, trial: TrialConfig) -> None:
        """Hand it a trial."""
        self.trial = trial
        self._send(trial)

    def end(self) -> None:
        """Tell it that there is no more; its trial, if it runs one, is interrupted at the end of an epoch."""
        if not self.ended:
            self.ended = True
            self._send(None)

    def close(self, seconds: float) -> int:
        """Wait for its end, by itself or after ``seconds``. Returns the exit code, negative for a signal."""
        self.pipe.close()
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode
        self._process.close()
        return -1 if code is None else code

    def _send(self, message: _Job | TrialConfig | None) -> None:
        with suppress(*_CUT_OFF):  # that it is gone, its pipe will say when it is read
            self.pipe.send(message)


def _started(make: Callable[[], BaseProcess]) -> BaseProcess:
    """A process that has been started, though the one that forks it may die at that moment and be replaced."""
    for pause in (0.1, 0.5, 2.0, None):
        process = make()
        try:
            with imports.for_new_processes():  # it may be the forking one that starts
                process.start()
            return process
        except _CUT_OFF:
            if pause is None:
                raise InputError("--jobs: no worker process can be started; what it said is above") from None
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


class _Pool:
    """The workers of a sweep and what is still to be done, handed out first come, first served."""

    def __init__(
        self,
        context: ForkServerContext | SpawnContext,
        job: _Job,
        trials: Sequence[TrialConfig],
        watch: Watcher,
        stop: Stop,
    ):
        self._context, self._job, self._watch, self._stop = context, job, watch, stop
        self._waiting = deque(trials)
        self._workers: list[_Worker] = []
        self._unwritten: deque[Outcome] = deque()
        self._failures: Counter[str] = Counter()  # by trial; under "" those of workers before their first

    def run(self, jobs: int) -> None:
        """Everything, to the last record."""
        for slot in range(min(jobs, len(self._waiting))):
            self._start(slot)
        while self._workers or self._unwritten:
            if self._stop.requested:
                for worker in self._workers:
                    worker.end()
            for worker in self._speaking(0 if self._unwritten else POLL_SECONDS):
                self._hear(worker)
            self._write(at_most=jobs)

    def close(self) -> None:
        """End the workers that there still are: none, unless there was an exception."""
        for worker in self._workers:
            worker.pipe.close()
        until = time.monotonic() + CLOSE_SECONDS
        for worker in self._workers:
            worker.close(max(0.0, until - time.monotonic()))

    @property
    def _more(self) -> bool:
        return bool(self._waiting) and not self._stop.requested

    def _start(self, slot: int) -> None:
        self._workers.append(_Worker(self._context, slot, self._job))

    def _speaking(self, seconds: float) -> list[_Worker]:
        """Workers that have said something, or died, within ``seconds``."""
        speaking = wait([worker.pipe for worker in self._workers], seconds)
        return [worker for worker in self._workers if worker.pipe in speaking]

    def _hear(self, worker: _Worker) -> None:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):  # OSError: in the middle of a message
            self._bury(worker)
            return
        if isinstance(message, EpochRecord):
            self._watch.epoch(message)
            return
        if isinstance(message, StoreError):
            worker.trial = None
            self._stop.fail(message)
        if isinstance(message, Outcome):
            worker.trial = None
            self._unwritten.append(message)  # written while the worker is at its next trial
        self._occupy(worker)

    def _occupy(self, worker: _Worker) -> None:
        """Give an idle worker the next trial, or its leave."""
        trial = None if worker.ended else self._next()
        if trial is None:
            worker.end()
            return
        worker.begin(trial)
        self._watch.started(trial)

    def _next(self) -> TrialConfig | None:
        """The next trial that is ours to run."""
        try:
            while self._more:
                trial = self._waiting.popleft()
                if self._job.ledger.take(trial_id(trial)):
                    return trial
        except StoreError as error:
            self._stop.fail(error)
        return None

    def _bury(self, worker: _Worker) -> None:
        """Account for a worker that is gone, and put another in its place if it went too early."""
        self._workers.remove(worker)
        code = worker.close(CLOSE_SECONDS)
        if worker.trial is not None:
            memory = ": often memory (fewer --jobs, smaller batches)" if code == -signal.SIGKILL else ""
            self._lose(worker.trial, f"its process {_end(code)}{memory}")
        elif not worker.ended:
            self._failures[""] += 1
            if self._failures[""] > self._job.settings.compute.max_failures:
                memory = ": often memory; set it lower" if code == -signal.SIGKILL else "; what they said is above"
                raise InputError(f"--jobs: each process {_end(code)} as it started{memory}")
        if self._more and not worker.ended:
            self._start(worker.slot)

    def _lose(self, trial: TrialConfig, reason: str) -> None:
        """Put a trial whose worker is lost back to the front, or record it as failed."""
        self._failures[trial_id(trial)] += 1
        if self._failures[trial_id(trial)] <= self._job.settings.compute.max_failures:
            self._waiting.appendleft(trial)
            logger.warning(f"{title(trial)}: {reason}" + ("" if self._stop.requested else "; it starts again"))
            return
        settings = self._job.settings
        where = {"sweep": settings.sweep, "cluster": settings.compute.cluster}
        self._unwritten.append(lost(trial, **where, error_type=WORKER_LOST, error_message=reason))

    def _write(self, at_most: int) -> None:
        """Store one outcome, since workers may wait for a trial meanwhile, or more, to leave ``at_most`` unwritten."""
        while self._unwritten:
            try:
                self._watch.finished(self._job.ledger.write(self._unwritten.popleft()))
            except StoreError as error:
                self._stop.fail(error)
            if len(self._unwritten) <= at_most:
                return


def _end(code: int) -> str:
    """How a process with this exit code ended."""
    return f"exited with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"


def _work(pipe: Connection, slot: int) -> None:
    """What runs in a worker process: one trial after another."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # which go to the whole process group:
        signal.signal(number, signal.SIG_IGN)  # what is to happen then is the parent's to say
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with streams.lasting(), suppress(*_CUT_OFF):
        job: _Job = pipe.recv()
        settings = replace(job.settings, device=_prepare(job, slot))
        pipe.send(None)
        while (trial := pipe.recv()) is not None:
            renew_or_end()
            pipe.send(_run(trial, job, settings, pipe))


def _die_with_parent() -> None:
    """End this process when its parent has ended, whatever it is at, so that no trial outlives its sweep."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a child
    parent.join()
    os._exit(1)


def _prepare(job: _Job, slot: int) -> str:
    """Set up a new process. Returns the device that its trials run on."""
    # or it would start children of its own, which decode images, the way it was started itself: slow, and left behind
    multiprocessing.set_start_method(None, force=True)
    imports.restore(job.environment)
    torch.set_num_threads(job.settings.compute.cpus_per_trial)
    allocator.keep_freed_memory()
    if job.settings.device == "cpu":
        return "cpu"
    device = f"cuda:{slot % torch.cuda.device_count()}"
    torch.cuda.set_device(device)  # or what names no device would start a second context, on the first GPU
    return device


def _run(trial: TrialConfig, job: _Job, settings: RunSettings, pipe: Connection) -> Outcome | StoreError:
    try:
        return run_attempts(
            trial,
            job.dataset,
            settings,
            ready=renew_or_end,
            on_epoch=pipe.send,
            stopping=pipe.poll,  # during a trial nothing comes but its end
            checkpoints=job.ledger,
        )
    except StoreError as error:
        return error
