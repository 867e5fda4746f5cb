"""What a store says about its sweeps: done, running, failed, interrupted and missing, with one running or not."""

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
class Overview:
    """One sweep.

    Attributes:
        counts: trials by status, those of :data:`ORDER` that there are; a running one counts as that alone.
        resumable: how many that neither completed nor run have a checkpoint to go on from.
        launches: who runs it, for people.
        trials: their ids.
        ended_early: ids of those that ended without completing, and do not run now.
    """

    name: str
    counts: dict[str, int]
    resumable: int = 0
    launches: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    ended_early: tuple[str, ...] = ()


def overviews(store: Store) -> list[Overview]:
    """All sweeps of a store, each with its trials as :mod:`sweep.store.sweeps` defines them."""
    rows = store.trials(columns=[*COLUMNS, "status"])
    statuses = dict(zip(rows["trial_id"].to_pylist(), rows["status"].to_pylist(), strict=True))
    running = Leases(store.files).running()
    return _overviews(store, trials_by_sweep(store.sweeps(), rows, running), statuses, running)


def overview(store: Store, name: str, trials: Iterable[str]) -> Overview:
    """Of some trials, by what the store has of them and who runs them now."""
    names = tuple(trials)
    return _overviews(store, {name: names}, store.statuses(names), Leases(store.files).running())[0]


def _overviews(
    store: Store, trials: Mapping[str, Sequence[str]], statuses: Mapping[str, str], running: Mapping[str, Launch]
) -> list[Overview]:
    saved = store.checkpoints()
    return [_overview(name, names, statuses, running, saved) for name, names in trials.items()]


def _overview(
    name: str, names: Sequence[str], statuses: Mapping[str, str], running: Mapping[str, Launch], saved: Collection[str]
) -> Overview:
    found = {each: RUNNING if each in running else statuses.get(each, MISSING) for each in names}
    counted = Counter(found.values())
    return Overview(
        name,
        {status: counted[status] for status in ORDER if counted[status]},
        sum(1 for each, status in found.items() if status not in (COMPLETED, RUNNING) and each in saved),
        tuple(sorted({str(running[each]) for each in names if each in running})),
        tuple(names),
        tuple(each for each, status in found.items() if status not in (COMPLETED, RUNNING, MISSING)),
    )
