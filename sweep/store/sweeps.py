"""The trials of a sweep: the one definition, for status, reports, MLflow, launches and retries.

A sweep's trials are all that its last launch planned and, of those that earlier launches of its name planned or ran,
the ones that are stored or running. Several sweeps may share a trial, whichever of them ran it. Stores of earlier
versions have no records of sweeps: there a sweep's trials are those that ran under its name.
"""

from collections.abc import Collection, Iterable

import pyarrow as pa

from sweep.records import SweepRecord

COLUMNS = ["trial_id", "sweep"]


def trials_by_sweep(
    records: Iterable[SweepRecord], rows: pa.Table, running: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Ids of the trials of each sweep, by its name; those of its last launch first, in their order.

    Args:
        records: of the sweeps of one store or of several.
        rows: the trials that are stored, with the columns :data:`COLUMNS`.
        running: trials that run now.
    """
    names = rows["trial_id"].to_pylist()
    present = {*names, *running}
    trials: dict[str, dict[str, None]] = {}
    for record in records:
        earlier = [trial for trial in record.earlier or () if trial in present]
        trials.setdefault(record.name, {}).update(dict.fromkeys([*record.trials, *earlier]))
    for trial, sweep in zip(names, rows["sweep"].to_pylist(), strict=True):
        trials.setdefault(sweep, {})[trial] = None
    return {name: tuple(ids) for name, ids in trials.items()}
