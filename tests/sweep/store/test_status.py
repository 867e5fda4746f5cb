"""``sweep status`` from the store alone, and the line that a launch ends with."""

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from sweep.cli.print import launches
from sweep.cli.print import status as print_status
from sweep.launch.run import Summary
from sweep.records import SweepRecord
from sweep.store import Store
from sweep.store.leases import Launch, Leases
from sweep.store.status import all_statuses, status_of

from ...conftest import make_outcome
from ..small import own_networks, sweep

STATUSES = ("completed", "completed", "failed", "diverged", "interrupted")
IDS = [f"{number:016x}" for number in range(8)]


def asked(name: str, trials: list[str]) -> SweepRecord:
    return SweepRecord(name, "{}", tuple(trials), datetime.now(UTC))


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Five trials have ended; the sweep asks for eight."""
    monkeypatch.chdir(tmp_path)
    found = Store(tmp_path / "results")
    for name, status in zip(IDS, STATUSES, strict=False):
        said = {} if status in ("completed", "interrupted") else {"error_type": "E", "error_message": "two\nlines [x]"}
        found.write(make_outcome(name, status, sweep="mine", **said))
    found.write_sweep(asked("mine", IDS))
    return found


def test_all_that_is_missing_counts_though_there_is_no_config(store):
    counts = {"completed": 2, "failed": 1, "diverged": 1, "interrupted": 1, "missing": 3}
    assert json.loads(sweep("status", "--json").out) == {"mine": counts}
    lines = sweep("status").out.splitlines()
    assert lines[0] == "mine: 2 completed, 1 failed, 1 diverged, 1 interrupted, 3 missing"
    assert [line for line in lines if IDS[2] in line] == [f"  {IDS[2]} vgg_digits snip 50% s0 failed: E: two lines [x]"]
    assert len([line for line in lines if line.startswith("  0")]) == 3


def test_what_did_not_complete_is_listed_below_its_own_sweep_and_nothing_that_runs(store):
    theirs = [f"{number:016x}" for number in range(16, 19)]
    for name, status in zip(theirs, ("completed", "interrupted", "failed"), strict=True):
        store.write(make_outcome(name, status, sweep="theirs"))
    store.write_sweep(asked("theirs", theirs))
    with Leases(store.files).held() as leases:
        leases.claim(theirs[2])  # tried again
        lines = sweep("status").out.splitlines()
    listed = {}
    for line in lines:
        if not line.startswith(" "):
            listed[line.partition(":")[0]] = below = []
        elif "run by" not in line:
            below.append(line.split()[0])
    assert listed == {"mine": IDS[2:5], "theirs": theirs[1:2]}


def test_what_runs_now_is_told_with_who_runs_it(store):
    with Leases(store.files).held() as leases:
        leases.claim(IDS[2])
        leases.claim(IDS[6])
        [found] = all_statuses(store)
    assert found.counts == {"completed": 2, "running": 2, "diverged": 1, "interrupted": 1, "missing": 2}
    assert found.launches == (str(leases.launch),)
    [after] = all_statuses(store)
    assert (after.counts["missing"], after.launches) == (3, ())


def test_a_launch_whose_trials_all_wait_says_why_before_the_first_has_started(store):
    launch = Launch("begins", note="12 trials wait: no machine")
    with Leases(store.files, launch).held():
        store.files.put(f"leases/{launch.id}.json", launch.to_json().encode())
        out = sweep("status").out
    assert f"begins: no trial has started\n  run by {launch}\n  {launch}: 12 trials wait: no machine\n" in out


def test_trials_that_have_a_checkpoint_go_on_from_there(store):
    for name in (IDS[0], IDS[2], IDS[7]):  # completed, failed, never ended
        store.save_checkpoint(name, b"x")
    [found] = all_statuses(store)
    assert found.resumable == 2
    assert "2 go on from a checkpoint" in sweep("status").out


def test_sweeps_share_trials_and_older_stores_tell_of_the_trials_that_they_have(store):
    store.write_sweep(asked("other", IDS[1:4]))
    store.write(make_outcome("f" * 16, sweep="old"))
    assert {each.name: each.counts for each in all_statuses(store)} == {
        "mine": {"completed": 2, "failed": 1, "diverged": 1, "interrupted": 1, "missing": 3},
        "other": {"completed": 1, "failed": 1, "diverged": 1},
        "old": {"completed": 1},
    }
    assert status_of(store, "some", [IDS[0], "e" * 16]).counts == {"completed": 1, "missing": 1}


def test_what_did_not_complete_is_told_of_the_sweeps_that_are_asked_for_alone(store):
    out = Console(file=io.StringIO(), width=200)
    print_status.status(out, [status_of(store, "some", [IDS[0], IDS[3]])], store)
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "some: 1 completed, 1 diverged"
    assert [line.split()[0] for line in lines[1:]] == [IDS[3]]


def test_the_line_at_the_end_of_a_retry_counts_the_trials_of_all_sweeps():
    out = Console(file=io.StringIO(), width=200)
    launches.retried(out, [Summary(1, {"completed": 1}, None), Summary(2, {"failed": 1, "completed": 1}, None)], [])
    launches.retried(out, [], [])
    assert out.file.getvalue().splitlines() == ["ran 3 trials. Now 2 completed, 1 failed.", "no trial to run again"]  # type: ignore[attr-defined]


@pytest.fixture
def networks(tmp_path, monkeypatch):
    yield from own_networks(tmp_path, monkeypatch)


def test_the_line_at_the_end_of_a_launch_counts_all_trials(tmp_path, networks, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(
        "{data: digits, grid: {architecture: 'small_networks:network', method: random, sparsity: 0.5, seed: [0, 1, 2]},"
        " training: {epochs: 1}, compute: {max_failures: 0}, tracking: {enabled: false}}"
    )

    def trouble(images):
        if len(networks.batches) == 1:
            raise ZeroDivisionError("the first")

    networks.trouble = trouble
    launched = sweep("launch", "own.yaml", "--local")
    assert (launched.code, "own: ran 3 trials. Now 2 completed, 1 failed." in launched.out) == (1, True)
    again = sweep("launch", "own.yaml", "--local", "--json")
    assert json.loads(again.out).items() >= {"sweep": "own", "store": "results", "ran": 1, "completed": 3}.items()
    assert "nothing to run, all 3 trials are completed" in sweep("launch", "own.yaml", "--local").out
