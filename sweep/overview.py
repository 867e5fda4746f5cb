"""What a store says about its sweeps: done, running, failed, interrupted and missing, with one running or not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sweep.records import COMPLETED, STATUSES
from sweep.store import Store
from sweep.store.leases import Leases

MISSING, RUNNING = "missing", "running"
ORDER = (COMPLETED, RUNNING, *(status for status in STATUSES if status != COMPLETED), MISSING)


@dataclass(frozen=True)
class Overview:
    """One sweep.

    Attributes:
        counts: trials by status, those of :data:`ORDER` that there are; a running one counts as that alone.
        resumable: how many that neither completed nor run have a checkpoint to go on from.
        launches: who runs it, for people.
        trials: ids of all that it asks for.
    """

    name: str
    counts: dict[str, int]
    resumable: int = 0
    launches: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()


def overviews(store: Store) -> list[Overview]:
    """All sweeps of a store, each by the grid of its last launch; those of older stores by their trials."""
    rows = store.trials(columns=["trial_id", "status", "sweep"]).to_pylist()
    statuses = {row["trial_id"]: row["status"] for row in rows}
    grids = {sweep.name: list(sweep.trials) for sweep in store.sweeps()}
    for row in rows:
        if row["sweep"] not in grids:
            grids[row["sweep"]] = [each["trial_id"] for each in rows if each["sweep"] == row["sweep"]]
    return [overview(store, name, trials, statuses) for name, trials in grids.items()]


def overview(store: Store, name: str, trials: Iterable[str], statuses: dict[str, str] | None = None) -> Overview:
    """Of some trials, by what the store has of them and who runs them now."""
    names = list(trials)
    known = store.statuses(names) if statuses is None else statuses
    running = Leases(store.files).running()
    found = {each: RUNNING if each in running else known.get(each, MISSING) for each in names}
    counted = Counter(found.values())
    saved = store.checkpoints()
    return Overview(
        name,
        {status: counted[status] for status in ORDER if counted[status]},
        sum(1 for each, status in found.items() if status not in (COMPLETED, RUNNING) and each in saved),
        tuple(sorted({str(running[each]) for each in names if each in running})),
        tuple(names),
    )
