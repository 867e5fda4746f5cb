"""How far the sweeps of a report are: the trials that completed, run, failed or are missing, over all stores."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sweep.records import COMPLETED, SweepRecord
from sweep.store import Store
from sweep.store.leases import Leases
from sweep.store.status import MISSING, ORDER, RUNNING
from sweep.store.sweeps import COLUMNS, trials_by_sweep


@dataclass(frozen=True)
class Progress:
    """The state of every trial that is planned, stored or running.

    Attributes:
        statuses: by trial id: one of :data:`sweep.store.status.ORDER`.
    """

    statuses: Mapping[str, str]

    @property
    def counts(self) -> dict[str, int]:
        """Number of trials by status, in order, without zeros."""
        counted = Counter(self.statuses.values())
        return {status: counted[status] for status in ORDER if counted[status]}

    @property
    def text(self) -> str:
        """``40 completed, 2 running, 21 missing``."""
        return ", ".join(f"{count:,} {status}" for status, count in self.counts.items()) or "no trials"

    @property
    def completed(self) -> int:
        """Number of completed trials."""
        return self.counts.get(COMPLETED, 0)

    @property
    def is_over(self) -> bool:
        """Whether there are trials and all have ended: none runs, none is missing."""
        return bool(self.statuses) and not self.counts.keys() & {RUNNING, MISSING}


def progress(
    stores: Sequence[Store],
    tables: Sequence[pa.Table],
    records: Sequence[SweepRecord],
    sweep: str | None = None,
    only: Collection[str] | None = None,
) -> Progress:
    """The state of the trials of one sweep, or of all.

    Args:
        stores: all that may hold trials.
        tables: the trials of each store, with at least their ids, sweeps and statuses.
        records: the sweeps of all stores.
        sweep: only the trials of this sweep.
        only: only these trial ids, instead.
    """
    running = {trial for store in stores for trial in Leases(store.files).running()}
    stored: dict[str, str] = {}
    for table in tables:
        for trial, status in zip(table["trial_id"].to_pylist(), table["status"].to_pylist(), strict=True):
            if stored.get(trial) != COMPLETED:
                stored[trial] = status
    if only is None:
        by_sweep = trials_by_sweep(records, pa.concat_tables(table.select(COLUMNS) for table in tables), running)
        only = [trial for name, ids in by_sweep.items() if sweep in (None, name) for trial in ids]
    return Progress({trial: RUNNING if trial in running else stored.get(trial, MISSING) for trial in only})
