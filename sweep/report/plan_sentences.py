"""How far the plan of each sweep was off: what it expected its trials to take, and what they took."""

from collections.abc import Iterable, Sequence

from sweep.records import SweepRecord, TrialRecord
from sweep.store.estimates import deviation

HEADING = "What the plan expected"


def plan_sentences(records: Iterable[SweepRecord], trials: Sequence[TrialRecord]) -> list[str]:
    """A sentence for each sweep whose last launch had an estimate and completed trials, with its name if several."""
    rows = [vars(trial) for trial in trials]
    found = {record.name: found for record in records if (found := deviation(record, rows)) is not None}
    if len(found) == 1:
        return [one.sentence for one in found.values()]
    return [f"{name}: {one.sentence}" for name, one in found.items()]
