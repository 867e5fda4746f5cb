"""The pool: all workers of a sweep, and the trials that are left to run."""

import logging
import signal
import time
from collections import Counter, deque
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, SpawnContext

from sweep.config.grid import title, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines.processes.process import WorkerProcess, how_it_ended
from sweep.engines.processes.worker import WorkerSetup
from sweep.engines.stop import Stop
from sweep.engines.watcher import Display
from sweep.errors import InputError, StoreError
from sweep.failures import WORKER_LOST
from sweep.records import EpochRecord, Outcome
from sweep.trial.record_fields import failed_outcome
from sweep.trial.stage import Stage

logger = logging.getLogger("sweep.engines.processes")

POLL_SECONDS = 0.2  # between two looks at a request to stop: it comes as a signal and not through a pipe
CLOSE_SECONDS = 5.0  # for a worker to end by itself


class Pool:
    """Hands trials to workers in order, stores their outcomes, and replaces workers that die."""

    def __init__(
        self,
        context: ForkServerContext | SpawnContext,
        setup: WorkerSetup,
        trials: Sequence[TrialConfig],
        watcher: Display,
        stop: Stop,
    ):
        self._context, self._setup, self._watcher, self._stop = context, setup, watcher, stop
        self._max_failures = setup.settings.compute.max_failures
        self._waiting = deque(trials)
        self._workers: list[WorkerProcess] = []
        self._unwritten: deque[Outcome] = deque()
        self._losses: Counter[str] = Counter()  # lost workers by trial; "" counts those lost before their first trial

    def run(self, jobs: int) -> None:
        """Run all trials with ``jobs`` workers. Returns when the last record is stored."""
        for slot in range(min(jobs, len(self._waiting))):
            self._start(slot)
        while self._workers or self._unwritten:
            if self._stop.requested:
                for worker in self._workers:
                    worker.dismiss()
            for worker in self._readable(0 if self._unwritten else POLL_SECONDS):
                self._receive(worker)
            self._write(at_most=jobs)

    def close(self) -> None:
        """End the workers that are left: none, unless there was an exception."""
        for worker in self._workers:
            worker.pipe.close()
        until = time.monotonic() + CLOSE_SECONDS
        for worker in self._workers:
            worker.close(max(0.0, until - time.monotonic()))

    @property
    def _more(self) -> bool:
        return bool(self._waiting) and self._stop.may_start

    def _start(self, slot: int) -> None:
        self._workers.append(WorkerProcess(self._context, slot, self._setup))

    def _readable(self, seconds: float) -> list[WorkerProcess]:
        """Workers that have sent something, or died, within ``seconds``."""
        readable = wait([worker.pipe for worker in self._workers], seconds)
        return [worker for worker in self._workers if worker.pipe in readable]

    def _receive(self, worker: WorkerProcess) -> None:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):  # OSError: in the middle of a message
            self._remove(worker)
            return
        if isinstance(message, EpochRecord):
            self._watcher.epoch(message)
            return
        if isinstance(message, Stage):
            self._watcher.stage(message)
            return
        if isinstance(message, StoreError):
            worker.trial = None
            self._stop.fail(message)
        if isinstance(message, Outcome):
            worker.trial = None
            self._unwritten.append(message)  # written while the worker runs its next trial
        self._occupy(worker)

    def _occupy(self, worker: WorkerProcess) -> None:
        """Give an idle worker the next trial, or dismiss it."""
        trial = None if worker.dismissed else self._next()
        if trial is None:
            worker.dismiss()
            return
        worker.begin(trial)
        self._watcher.started(trial)

    def _next(self) -> TrialConfig | None:
        """The next trial that this launch may run."""
        try:
            while self._more:
                trial = self._waiting.popleft()
                if self._setup.claims.take(trial_id(trial)):
                    return trial
        except StoreError as error:
            self._stop.fail(error)
        return None

    def _remove(self, worker: WorkerProcess) -> None:
        """Remove a worker that has ended. One that ended too early is replaced, and its trial runs again or fails."""
        self._workers.remove(worker)
        code = worker.close(CLOSE_SECONDS)
        if worker.trial is not None:
            memory = ": often memory (fewer --jobs, smaller batches)" if code == -signal.SIGKILL else ""
            self._lose(worker.trial, f"its process {how_it_ended(code)}{memory}")
        elif not worker.dismissed:
            self._losses[""] += 1
            if self._losses[""] > self._max_failures:
                memory = ": often memory; set it lower" if code == -signal.SIGKILL else "; what they printed is above"
                raise InputError(f"--jobs: each process {how_it_ended(code)} as it started{memory}")
        if self._more and not worker.dismissed:
            self._start(worker.slot)

    def _lose(self, trial: TrialConfig, reason: str) -> None:
        """Put a trial whose worker is lost back to the front, or record it as failed."""
        self._losses[trial_id(trial)] += 1
        if self._losses[trial_id(trial)] <= self._max_failures:
            self._waiting.appendleft(trial)
            logger.warning(f"{title(trial)}: {reason}" + ("; it starts again" if self._stop.may_start else ""))
            return
        settings = self._setup.settings
        where = {"sweep": settings.sweep, "cluster": settings.compute.cluster}
        self._unwritten.append(failed_outcome(trial, **where, error_type=WORKER_LOST, error_message=reason))

    def _write(self, at_most: int) -> None:
        """Store one outcome, because workers may wait for a trial; store more while over ``at_most`` are unwritten."""
        while self._unwritten:
            try:
                self._watcher.finished(self._setup.claims.write(self._unwritten.popleft()))
            except StoreError as error:
                self._stop.fail(error)
            if len(self._unwritten) <= at_most:
                return
