"""The status of sweeps: how many trials are completed, running, failed, interrupted and missing."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweep.records import COMPLETED, STATUSES
from sweep.store import Store
from sweep.store.leases import Launch, Leases
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
        trials: their ids.
        ended_early: ids of trials that ended without completing and are not running.
    """

    name: str
    counts: dict[str, int]
    resumable: int = 0
    launches: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    ended_early: tuple[str, ...] = ()


def all_statuses(store: Store) -> list[SweepStatus]:
    """The status of every sweep of a store, each with the trials that :mod:`sweep.store.sweeps` defines."""
    rows = store.trials(columns=[*COLUMNS, "status"])
    statuses = dict(zip(rows["trial_id"].to_pylist(), rows["status"].to_pylist(), strict=True))
    running = Leases(store.files).running()
    trials = trials_by_sweep(store.sweeps(), rows, running)
    saved = store.checkpoints()
    return [_status(name, ids, statuses, running, saved) for name, ids in trials.items()]


def status_of(store: Store, name: str, trials: Iterable[str]) -> SweepStatus:
    """The status of a sweep of this name with these trials."""
    ids = tuple(trials)
    return _status(name, ids, store.statuses(ids), Leases(store.files).running(), store.checkpoints())


def _status(
    name: str, ids: Sequence[str], statuses: Mapping[str, str], running: Mapping[str, Launch], saved: Collection[str]
) -> SweepStatus:
    now = {trial: RUNNING if trial in running else statuses.get(trial, MISSING) for trial in ids}
    counted = Counter(now.values())
    return SweepStatus(
        name,
        {status: counted[status] for status in ORDER if counted[status]},
        sum(1 for trial, status in now.items() if status not in (COMPLETED, RUNNING) and trial in saved),
        tuple(sorted({str(running[trial]) for trial in ids if trial in running})),
        tuple(ids),
        tuple(trial for trial, status in now.items() if status not in (COMPLETED, RUNNING, MISSING)),
    )
