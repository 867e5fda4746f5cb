"""What runs in a worker process: one trial after another."""

import os
import pickle
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import ray
import torch
from ray import tune
from ray.exceptions import RayTaskError

from sweep import imports
from sweep.engines.on_ray.coordinator import TAKE, WAIT
from sweep.errors import StoreError
from sweep.records import EpochRecord, Outcome, TrialRecord
from sweep.store.claims import Ledger
from sweep.trial.attempts import renew_or_end, run_attempts
from sweep.trial.settings import RunSettings
from training.data import Dataset, StreamedDataset

TELL_SECONDS = 5.0  # that a process which is about to exit waits for the desk
REPORT_SECONDS = 1.0  # between a trial's reports: each takes the driver some milliseconds


@dataclass(frozen=True)
class Job:
    """What all trials of a sweep have in common."""

    settings: RunSettings
    ledger: Ledger
    home: str  # node id of the driver
    folder: str  # that the driver works in
    path: tuple[str, ...]  # where the driver looks for modules
    desk: Any

    def reachable_ledger(self) -> "Ledger | _ByDesk":
        """The ledger; by way of the desk where the store is a folder on another machine."""
        elsewhere = self.ledger.store.local is not None and _node() != self.home
        return _ByDesk(self.desk) if elsewhere else self.ledger


class _ByDesk:
    """A ledger on the driver's machine."""

    def __init__(self, desk: Any):
        self._desk = desk

    def load(self, trial_id: str) -> bytes | None:
        """A trial's checkpoint."""
        return self._ask(self._desk.load, trial_id)

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """Keep one."""
        self._ask(self._desk.save, trial_id, checkpoint)

    def write(self, outcome: Outcome) -> TrialRecord:
        """Store an outcome."""
        record: TrialRecord = self._ask(self._desk.write, outcome)
        return record

    def _ask(self, method: Any, *arguments: Any) -> Any:
        try:
            return ray.get(method.remote(*arguments))
        except RayTaskError as error:
            if isinstance(error.cause, StoreError):
                raise error.cause from None
            raise


def run_one(config: dict[str, Any], job: Job, dataset: Dataset | StreamedDataset) -> dict[str, Any]:
    """The trainable: run the trial in ``config`` and store it. ``dataset`` lies in shared memory, read-only.

    Returns:
        "record": how it ended; or "left": why it was not run; or "unstorable": what the store says.
    """
    trial_id, attempt = config["trial"]["id"], uuid.uuid4().hex
    _begin(job)
    try:
        while (word := ray.get(job.desk.take.remote(trial_id, _node(), attempt))) == WAIT:
            time.sleep(REPORT_SECONDS)
        if word != TAKE:
            return {"left": word}
        ledger = job.reachable_ledger()
        reports = _Reports(job.desk)
        with _exit_told(job.desk, trial_id):
            outcome = run_attempts(
                pickle.loads(config["trial"]["pickled"]),
                dataset,
                job.settings,
                ready=renew_or_end,
                on_epoch=reports.epoch,
                stopping=reports.stopping,
                checkpoints=ledger,
            )
        return {"record": pickle.dumps(ledger.write(outcome))}
    except StoreError as error:
        return {"unstorable": str(error)}
    except RayTaskError as error:
        if isinstance(error.cause, StoreError):
            return {"unstorable": str(error.cause)}
        raise


def _node() -> str:
    return str(ray.get_runtime_context().get_node_id())


def _begin(job: Job) -> None:
    """Make a process that has run trials before as good as new, and look for modules where the driver does."""
    imports.take_over(job.path, same_machine=_node() == job.home)
    with suppress(OSError):  # there may be no such folder on another machine
        os.chdir(job.folder)
    torch.set_num_threads(job.settings.compute.cpus_per_trial)  # of this thread; each trial runs in its own
    renew_or_end()


@contextmanager
def _exit_told(desk: Any, trial_id: str) -> Iterator[None]:
    """Tell the desk the code that this process exits with, should a trial call ``os._exit``: Ray does not know it."""
    leave, process = os._exit, os.getpid()

    def tell_and_leave(status: int) -> NoReturn:
        if os.getpid() == process:  # and not one that was forked off it
            with suppress(Exception):
                ray.get(desk.note_exit.remote(trial_id, status), timeout=TELL_SECONDS)
        leave(status)

    os._exit = tell_and_leave
    try:
        yield
    finally:
        os._exit = leave


class _Reports:
    """Tells the driver of an epoch now and then, and asks now and then whether to stop."""

    def __init__(self, desk: Any):
        self._desk, self._next, self._ask, self._stopping = desk, 0.0, 0.0, False

    def epoch(self, record: EpochRecord) -> None:
        """Told after every epoch."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + REPORT_SECONDS
            tune.report({"epoch": asdict(record)})

    def stopping(self) -> bool:
        """Asked after every step."""
        if not self._stopping and time.monotonic() >= self._ask:
            self._ask = time.monotonic() + REPORT_SECONDS
            self._stopping = ray.get(self._desk.stopping.remote())
        return self._stopping
