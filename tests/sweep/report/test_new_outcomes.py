"""Watching a sweep: a change for every outcome, none for anything else, and an end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sweep.errors import InputError, StoreError
from sweep.records import FAILED, INTERRUPTED, Outcome, SweepRecord, TrialRecord
from sweep.report.new_outcomes import Change, watch
from sweep.store import Store
from sweep.store.folding import fold
from sweep.store.leases import Leases

from .conftest import MakeStore, trial

TRIALS = [trial("force", 0.99, seed, 0.8 + seed / 100) for seed in range(3)]


class Script:
    """Does something at each pause, instead of sleeping; a watch that outlives its script fails."""

    def __init__(self, *steps: Callable[[], object]):
        self.steps, self.pauses = list(steps), []

    def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)
        assert self.steps, "the watch goes on"
        self.steps.pop(0)()


def launched(store: Store, *trials: TrialRecord, name: str = "mine") -> Store:
    store.write_sweep(SweepRecord(name, "{}", tuple(trial.trial_id for trial in trials), datetime.now(UTC)))
    return store


def watched(
    store: Store, script: Script, sweep: str | None = None, errors: list[StoreError] | None = None
) -> list[Change]:
    return list(watch([store], sweep, 3.0, on_error=[].append if errors is None else errors.append, sleep=script))


def write(store: Store, record: TrialRecord) -> Callable[[], object]:
    return lambda: store.write(Outcome(record))


def nothing() -> None:
    pass


def test_every_stored_outcome_is_a_change_and_the_last_one_ends_the_watch(store: MakeStore) -> None:
    made = launched(store("a", TRIALS[:1]), *TRIALS)
    changes = watched(made, Script(nothing, write(made, TRIALS[1]), nothing, write(made, TRIALS[2])))
    assert [change.progress.text for change in changes] == [
        "1 completed, 2 missing",
        "2 completed, 1 missing",
        "3 completed",
    ]
    assert [[row["trial_id"] for row in change.ended] for change in changes] == [[t.trial_id] for t in TRIALS]
    assert [change.is_first for change in changes] == [True, False, False]


def test_a_sweep_that_is_complete_is_reported_once(store: MakeStore) -> None:
    made = launched(store("a", TRIALS), *TRIALS)
    assert [change.progress.completed for change in watched(made, Script())] == [3]


def test_a_trial_that_begins_and_files_that_are_folded_are_no_change(store: MakeStore) -> None:
    made = launched(store("a", TRIALS[:2]), *TRIALS)
    with Leases(made.files).held() as leases:
        begin = lambda: leases.claim(TRIALS[2].trial_id)  # noqa: E731
        changes = watched(
            made, Script(begin, lambda: fold(made), write(made, TRIALS[2]), lambda: leases.release(TRIALS[2].trial_id))
        )
    assert [change.progress.text for change in changes] == [
        "2 completed, 1 missing",
        "2 completed, 1 running",
        "3 completed",
    ]


def test_trials_that_ended_without_a_result_end_the_watch_too(store: MakeStore) -> None:
    lost = [
        replace(TRIALS[0], status=FAILED, test_accuracy=None),
        replace(TRIALS[1], status=INTERRUPTED, test_accuracy=None),
    ]
    made = launched(store("a", lost), *TRIALS[:2])
    [change] = watched(made, Script())
    assert change.progress.is_over and change.progress.completed == 0


def test_a_failed_trial_that_completes_later_is_a_change(store: MakeStore) -> None:
    made = launched(store("a", [replace(TRIALS[0], status=FAILED, test_accuracy=None)]), *TRIALS[:2])
    changes = watched(made, Script(write(made, TRIALS[0]), write(made, TRIALS[1])))
    assert [change.progress.text for change in changes] == [
        "1 failed, 1 missing",
        "1 completed, 1 missing",
        "2 completed",
    ]


def test_only_the_trials_of_the_sweep_count(store: MakeStore) -> None:
    made = launched(launched(store("a", TRIALS[:2]), *TRIALS[:2]), *TRIALS, name="larger")
    [change] = watched(made, Script(), sweep="mine")
    assert change.progress.completed == 2
    with pytest.raises(InputError, match="no trial of a sweep named 'other'"):
        watched(made, Script(), sweep="other")


def test_a_store_that_cannot_be_reached_for_a_while_is_tried_again(
    store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = launched(store("a", TRIALS[:2]), *TRIALS)
    errors: list[StoreError] = []

    def lose() -> None:
        def unreachable(folder: str) -> list[str]:
            raise StoreError("the network is down")

        monkeypatch.setattr(made, "names", unreachable)

    def find() -> None:
        monkeypatch.undo()
        made.write(Outcome(TRIALS[2]))

    changes = watched(made, Script(lose, find), errors=errors)
    assert [str(error) for error in errors] == ["the network is down"]
    assert [change.progress.completed for change in changes] == [2, 3]


def test_a_report_that_takes_long_is_followed_by_a_longer_rest(
    store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, now = launched(store("a", TRIALS[:2]), *TRIALS), [0.0]
    monkeypatch.setattr("sweep.report.new_outcomes.time.monotonic", lambda: now[0])
    script = Script(nothing, write(made, TRIALS[2]))
    for change in watch([made], None, 3.0, on_error=print, sleep=script):
        now[0] += 0.0 if change.progress.is_over else 20.0
    assert script.pauses == [80.0, 3.0]
