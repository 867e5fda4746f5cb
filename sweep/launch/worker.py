"""What runs in a worker process: one trial after another."""

import pickle
import time
from dataclasses import asdict, dataclass
from typing import Any

import ray
import torch
from ray import tune

from sweep.local import renew
from sweep.records import EpochRecord, Outcome
from sweep.store import Store
from sweep.trial import Interrupted, run_trial
from training.data import Dataset, StreamedDataset

REPORT_SECONDS = 1.0  # between a trial's reports: each takes the driver some milliseconds


@dataclass(frozen=True)
class Job:
    """What all trials of a sweep have in common."""

    sweep: str
    cluster: str
    device: str
    threads: int
    compact: bool
    store: Store
    home: str  # node id of the driver
    desk: Any

    def keep(self, outcome: Outcome) -> None:
        """Store an outcome; by way of the desk where the store is a folder on another machine."""
        if self.store.local is not None and ray.get_runtime_context().get_node_id() != self.home:
            ray.get(self.desk.write.remote(outcome))
        else:
            self.store.write(outcome)


def run_one(config: dict[str, Any], job: Job, dataset: Dataset | StreamedDataset) -> dict[str, Any]:
    """The trainable: run the trial in ``config`` and store it. ``dataset`` lies in shared memory, read-only."""
    _begin(job)
    outcome = run_trial(
        pickle.loads(config["trial"]["pickled"]),
        dataset,
        device=job.device,
        sweep=job.sweep,
        cluster=job.cluster,
        compact=job.compact,
        on_epoch=_Reports(job.desk),
    )
    job.keep(outcome)
    return {"stored": True}


def _begin(job: Job) -> None:
    """Make a process that has run trials before as good as new."""
    torch.set_num_threads(job.threads)  # counts for this thread only, and each trial has its own
    renew()


class _Reports:
    """Told after every epoch; tells the driver now and then, and learns then whether to stop."""

    def __init__(self, desk: Any):
        self._desk, self._next = desk, 0.0

    def __call__(self, record: EpochRecord) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REPORT_SECONDS
        tune.report({"epoch": asdict(record)})
        if ray.get(self._desk.stopping.remote()):
            raise Interrupted
