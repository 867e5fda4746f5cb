"""Waiting for the trials of running sweeps, so that a report can be written again whenever some have ended."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.errors import InputError, StoreError
from sweep.records import OUTCOME
from sweep.report.progress import Progress, progress
from sweep.store import Store
from sweep.store.leases import Leases
from sweep.store.sweeps import COLUMNS

SECONDS = 10.0  # between two looks at the stores
_REST = 4  # a report that takes a minute is followed by four of rest: it takes cores from the trials
_ENDED = ["architecture_label", "method_label", "sparsity", "seed", "test_accuracy"]

Row = Mapping[str, Any]
Outcomes = dict[tuple[int, str], Row]  # place of the store and trial id -> the row that counts


@dataclass(frozen=True)
class Change:
    """Outcomes that were stored since the last change.

    Attributes:
        progress: of all trials.
        ended: rows of the trials whose outcomes are new, with at least their ids, labels, statuses and accuracies.
        is_first: whether nothing was known before, so that all outcomes are new.
    """

    progress: Progress
    ended: Sequence[Row]
    is_first: bool


def watch(
    stores: Sequence[Store],
    sweep: str | None = None,
    seconds: float = SECONDS,
    *,
    on_error: Callable[[StoreError], object],
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Change]:
    """Yield the state at once, and again whenever outcomes were stored, until no trial runs or is missing.

    The files of the stores are listed every few seconds; records are read only where the names of files or the running
    trials have changed. After a change that takes the caller long, it rests longer.

    Args:
        stores: local or remote.
        sweep: only the trials of this sweep.
        seconds: between two listings.
        on_error: called when a store cannot be reached, which is tried again.
        sleep: for tests.

    Raises:
        InputError: no store knows the sweep.
    """
    seen: object = None
    known: Outcomes | None = None
    while True:
        took = 0.0
        if (found := _look(stores, sweep, seen, on_error)) is not None:
            seen, state, outcomes = found
            before, known = known, outcomes
            if before != outcomes or state.is_over:
                ended = [row for key, row in outcomes.items() if (before or {}).get(key) != row]
                start = time.monotonic()
                yield Change(state, ended, before is None)
                took = time.monotonic() - start
            if state.is_over:
                return
        sleep(max(seconds, _REST * took))


def _look(
    stores: Sequence[Store], sweep: str | None, seen: object, on_error: Callable[[StoreError], object]
) -> tuple[object, Progress, Outcomes] | None:
    """A listing of the stores and what it leads to; None if it is the one that was ``seen``, or fails."""
    try:
        listing = [_listing(store) for store in stores]
        return None if listing == seen else (listing, *_read(stores, sweep))
    except StoreError as error:
        on_error(error)
        return None


def _listing(store: Store) -> tuple[list[str], list[str], list[str]]:
    """What changes whenever an outcome is stored, a sweep is launched, or a trial begins or ends."""
    return store.names("trials"), store.names("sweeps"), sorted(Leases(store.files).running())


def _read(stores: Sequence[Store], sweep: str | None) -> tuple[Progress, Outcomes]:
    tables = [store.trials(columns=[*COLUMNS, "status", OUTCOME, *_ENDED]) for store in stores]
    records = [record for store in stores for record in store.sweeps()]
    state = progress(stores, tables, records, sweep)
    if sweep is not None and not state.statuses:
        names = ", ".join(store.name for store in stores)
        raise InputError(f"{names}: no trial of a sweep named {sweep!r}; 'sweep status' lists the sweeps of a store")
    rows = {(place, row["trial_id"]): row for place, table in enumerate(tables) for row in table.to_pylist()}
    return state, {key: row for key, row in rows.items() if key[1] in state.statuses}
