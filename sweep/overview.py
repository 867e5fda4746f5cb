"""What a store says about its sweeps: done, running, failed, interrupted and missing, with one running or not."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sweep.records import COMPLETED, STATUSES
from sweep.store import Store
from sweep.store.leases import Launch, Leases

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
    of_sweep = defaultdict[str, list[str]](list)
    for row in rows:
        of_sweep[row["sweep"]].append(row["trial_id"])
    grids = {sweep.name: list(sweep.trials) for sweep in store.sweeps()}
    statuses = {row["trial_id"]: row["status"] for row in rows}
    return _overviews(store, grids | {name: of_sweep[name] for name in of_sweep if name not in grids}, statuses)


def overview(store: Store, name: str, trials: Iterable[str]) -> Overview:
    """Of some trials, by what the store has of them and who runs them now."""
    names = list(trials)
    return _overviews(store, {name: names}, store.statuses(names))[0]


def _overviews(store: Store, grids: Mapping[str, list[str]], statuses: Mapping[str, str]) -> list[Overview]:
    running, saved = Leases(store.files).running(), store.checkpoints()
    return [_overview(name, names, statuses, running, saved) for name, names in grids.items()]


def _overview(
    name: str, names: list[str], statuses: Mapping[str, str], running: Mapping[str, Launch], saved: Collection[str]
) -> Overview:
    found = {each: RUNNING if each in running else statuses.get(each, MISSING) for each in names}
    counted = Counter(found.values())
    return Overview(
        name,
        {status: counted[status] for status in ORDER if counted[status]},
        sum(1 for each, status in found.items() if status not in (COMPLETED, RUNNING) and each in saved),
        tuple(sorted({str(running[each]) for each in names if each in running})),
        tuple(names),
    )
