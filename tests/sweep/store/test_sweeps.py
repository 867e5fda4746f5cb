"""Which trials a sweep has: what its last launch asked for, and what is stored of what earlier ones did."""

from datetime import UTC, datetime

from sweep.records import SweepRecord
from sweep.store import Store
from sweep.store.sweeps import COLUMNS, trials_by_sweep

from ...conftest import make_outcome

A, B, C, D, E = (letter * 16 for letter in "abcde")


def record(name: str, *trials: str, earlier: tuple[str, ...] | None = None) -> SweepRecord:
    return SweepRecord(name, "{}", trials, datetime.now(UTC), earlier=earlier)


def test_a_sweep_has_all_that_it_last_asked_for_and_of_earlier_launches_what_is_stored_or_runs(tmp_path):
    store = Store(tmp_path)
    store.write(make_outcome(A, sweep="first"))  # both ask for it
    store.write(make_outcome(B, sweep="second"))  # an earlier launch of it ran this
    store.write(make_outcome(C, "failed", sweep="first"))  # an earlier launch of it asked for this
    store.write_sweep(record("second", A, D, earlier=(C, E)))
    rows = store.trials(columns=COLUMNS)
    found = trials_by_sweep(store.sweeps(), rows)
    assert found == {"second": (A, D, C, B), "first": (A, C)}  # the latter as in stores of earlier versions
    assert trials_by_sweep(store.sweeps(), rows, running={E})["second"] == (A, D, C, E, B)


def test_sweeps_of_one_name_in_several_stores_are_one(tmp_path):
    store = Store(tmp_path)
    records = [record("mine", A, B), record("mine", B, C)]
    assert trials_by_sweep(records, store.trials(columns=COLUMNS)) == {"mine": (A, B, C)}
