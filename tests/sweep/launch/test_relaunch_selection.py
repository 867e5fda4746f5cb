"""Which trials ``sweep retry`` takes, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest

from sweep.errors import InputError
from sweep.launch.relaunch import choose, plans
from sweep.records import Outcome
from sweep.store import Store
from sweep.trial.record_fields import failed_outcome

from ...conftest import make_outcome
from ..small import sweep, the_trial


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """A store of records by hand."""
    store = Store(tmp_path / "mixed/results")
    unknown = {"error_type": "KeyError", "error_message": "x"}
    store.write(make_outcome("aaaa000000000000"))
    store.write(make_outcome("aaaa111111111111", "failed", **unknown))
    store.write(make_outcome("bbbb000000000000", "failed", error_type="MemoryError", error_message=""))
    store.write(make_outcome("cccc000000000000", "diverged", error_type="Diverged", error_message="y"))
    store.write(make_outcome("dddd000000000000", "interrupted"))
    monkeypatch.chdir(tmp_path / "mixed")
    return store


@pytest.mark.parametrize(
    ("beginnings", "statuses", "kinds", "expected"),
    [
        ([], ["failed"], [], "aaaa1 bbbb0"),
        ([], ["diverged", "interrupted"], [], "cccc0 dddd0"),
        ([], [], ["out-of-memory", "non-finite-loss"], "bbbb0 cccc0"),
        ([], [], ["interrupted"], "dddd0"),
        (["b", "aaaa1"], [], [], "aaaa1 bbbb0"),
        (["dddd0", "dddd"], ["failed"], ["code"], "aaaa1 bbbb0 dddd0"),
        ([], [], ["data"], ""),
    ],
)
def test_trials_are_chosen_by_status_kind_and_id_each_once(mixed, beginnings, statuses, kinds, expected):
    chosen = choose(mixed, beginnings, statuses, kinds, force=False)
    assert sorted(record.trial_id[:5] for record in chosen) == expected.split()


def test_completed_ones_are_chosen_by_id_and_force_alone(mixed):
    chosen = choose(mixed, ["aaaa0"], ["failed"], [], force=True)
    assert sorted(record.trial_id[:5] for record in chosen) == ["aaaa0", "aaaa1", "bbbb0"]
    assert len(choose(mixed, [], ["failed"], [], force=True)) == 2


WRONG = {
    "nothing named": ([], "say which: IDs, --failed, --diverged, --interrupted or --kind"),
    "unknown id": (["eeee"], "trial 'eeee' is not in"),
    "ambiguous id": (["aaaa"], "trial 'aaaa' is the beginning of 2 trials; give more of it"),
    "completed": (["aaaa0"], "trial aaaa000000000000 is completed; --force runs it again"),
    "unknown kind": (["--kind", "bad-luck"], "--kind bad-luck: one of out-of-memory, non-finite-loss"),
    "another grid": (["--failed", "--set", "grid.seed=1"], "--set grid.seed=1: the trials are stored and keep their config"),
    "another recipe": (["--failed", "--set", "training.epochs=9"], "only these can be set: compute.…, tracking.…, data.path, "),
    "other images": (["--failed", "--set", "data.validation=9"], "--set data.validation=9: the trials are stored"),
    "no such key": (["--failed", "--set", "data.pathology=x"], "--set data.pathology=x: the trials are stored"),
    "another store": (["--failed", "--set", "store=other"], "--set store=other: the trials are stored"),
    "an absent store": (["--failed", "--store", "absent"], "does not exist"),
    "no config": (["--failed"], "trial aaaa111111111111: stored trial config: data: is missing"),
    "jobs on Ray": (["--failed", "--jobs", "2"], "--jobs 2 is for --local"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_done_is_refused_with_a_message_and_nothing_is_touched(case, mixed):
    arguments, message = WRONG[case]
    before = files(Path("results"))
    result = sweep("retry", *arguments)
    assert (result.code, message in result.err, "Traceback" in result.err) == (2, True, False), result.err
    assert files(Path("results")) == before


def test_a_stored_config_that_is_another_trials_is_refused(mixed):
    other = failed_outcome(the_trial("grid.method=random"), sweep="test", error_type="KeyError")
    mixed.write(Outcome(replace(other.trial, trial_id="1234123412341234")))
    with pytest.raises(InputError, match="trial 1234123412341234: its stored config is another trial's"):
        plans(mixed, choose(mixed, ["1234"], [], [], force=False), [])
