"""The status of sweeps: how many trials are completed, running, failed, interrupted and missing."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sweep.records import COMPLETED, STATUSES
from sweep.store import Store
from sweep.store.leases import Launch, Leases
from sweep.store.requests import Request, Requests
from sweep.store.sweeps import COLUMNS, trials_by_sweep

MISSING, RUNNING = "missing", "running"
ORDER = (COMPLETED, RUNNING, *(status for status in STATUSES if status != COMPLETED), MISSING)


@dataclass(frozen=True)
class SweepStatus:
    """The status of one sweep.

    Attributes:
        counts: number of trials by status, in :data:`ORDER`, without zeros; a running trial counts only as running.
        resumable: how many trials that are neither completed nor running have a checkpoint.
        launches: descriptions of the launches that run its trials.
        waits: descriptions of launches of this sweep whose trials wait, each with the reason.
        trials: their ids.
        ended_early: ids of trials that ended without completing and are not running.
    """

    name: str
    counts: dict[str, int]
    resumable: int = 0
    launches: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    ended_early: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()


def all_statuses(store: Store) -> list[SweepStatus]:
    """The status of every sweep of a store, each with the trials that :mod:`sweep.store.sweeps` defines.

    A sweep whose first launch has not started a trial has no counts yet.
    """
    rows = store.trials(columns=[*COLUMNS, "status"])
    statuses = dict(zip(rows["trial_id"].to_pylist(), rows["status"].to_pylist(), strict=True))
    now = _now(store)
    trials = trials_by_sweep(store.sweeps(), rows, now.running)
    begins: dict[str, list[str]] = {launch.sweep: [] for launch in now.living if launch.sweep}
    saved = store.checkpoints()
    return [_status(name, ids, statuses, now, saved) for name, ids in (begins | trials).items()]


def status_of(store: Store, name: str, trials: Iterable[str]) -> SweepStatus:
    """The status of a sweep of this name with these trials."""
    ids = tuple(trials)
    return _status(name, ids, store.statuses(ids), _now(store), store.checkpoints())


class _Now(NamedTuple):
    """The living launches, the one that runs each taken trial, and what they are asked to do, by their ids."""

    living: Sequence[Launch]
    running: Mapping[str, Launch]
    requests: Mapping[str, Request]

    def describe(self, launch: Launch) -> str:
        """A launch, and what it is asked to do."""
        request = self.requests.get(launch.id)
        return f"{launch}, asked to {request.action} by {request.by}" if request else str(launch)


def _now(store: Store) -> _Now:
    leases = Leases(store.files)
    return _Now(leases.living(), leases.running(), Requests(store.files).all())


def _status(
    name: str, ids: Sequence[str], statuses: Mapping[str, str], launches: _Now, saved: Collection[str]
) -> SweepStatus:
    running = launches.running
    now = {trial: RUNNING if trial in running else statuses.get(trial, MISSING) for trial in ids}
    counted = Counter(now.values())
    its_own = [launch for launch in launches.living if launch.sweep == name]
    return SweepStatus(
        name,
        {status: counted[status] for status in ORDER if counted[status]},
        sum(1 for trial, status in now.items() if status not in (COMPLETED, RUNNING) and trial in saved),
        tuple(sorted({launches.describe(launch) for launch in (*its_own, *map(running.get, ids)) if launch})),
        tuple(ids),
        tuple(trial for trial, status in now.items() if status not in (COMPLETED, RUNNING, MISSING)),
        tuple(f"{launch}: {launch.note}" for launch in its_own if launch.note),
    )
