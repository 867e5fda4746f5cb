"""Several that export to one experiment, killed or at the same moment: every trial is shown once."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.config.trial_identity import canonical
from sweep.store import Store
from sweep.store.leases import Launch
from sweep.tracking import default_uri, exporter, mlflow_run
from sweep.tracking.client import Client
from sweep.tracking.mlflow_experiment import MlflowExperiment
from sweep.tracking.sweep_export import SweepExport
from sweep.tracking.sweep_run import SweepRun

from .helpers import launched, outcome, sweep, synced, tallies
from .mlflows import once_each, shown

# mlflow and what it imports warn of their own affairs; in the exporter's thread that would end as a failed export
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


KILLED = """
import os, signal, sys
from sweep.cli import main
import mlflow

inner, calls = mlflow.MlflowClient.set_terminated, []

def killed(self, run, *arguments, **named):
    calls.append(run)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(self, run, *arguments, **named)

mlflow.MlflowClient.set_terminated = killed
main(sys.argv[1:])
"""


def test_a_run_whose_exporter_was_killed_is_written_again(
    config: Path, filled: Store, database: Path, undisturbed: Any
) -> None:
    command = [sys.executable, "-c", KILLED, "launch", str(config), "--local", "--set", f"store={filled.uri}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    statuses = [each["status"] for found in shown(database).values() for each in found]
    assert sorted(statuses) == ["FINISHED", "FINISHED", "FINISHED", "RUNNING"]
    assert tallies(filled) == [(9, 3, 0)]
    assert tallies(filled) == [(0, 12, 0)]
    assert once_each(database) == undisturbed(filled)


def test_a_database_whose_maker_was_killed_is_made_by_the_next(filled: Store, database: Path, undisturbed: Any) -> None:
    database.unlink()
    script = """
import os, signal, sys
from sqlalchemy import Engine, event
from sweep.cli import main

@event.listens_for(Engine, "after_cursor_execute")
def killed(connection, cursor, statement, *more):
    if "ADD COLUMN step" in statement:  # MLflow has not noted that it is there: it would add it again, in vain
        os.kill(os.getpid(), signal.SIGKILL)

main(sys.argv[1:])
"""
    command = [sys.executable, "-c", script, "sync", filled.uri]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == -signal.SIGKILL
    assert tallies(filled) == [(12, 0, 0)]
    assert once_each(database) == undisturbed(filled)


EXPORTER = """
import sys
from sweep.store.leases import Launch
print(Launch().to_json(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def living() -> Iterator[tuple["subprocess.Popen[str]", Launch]]:
    """Another process, in which a launch or a sync may run."""
    command, pipe = [sys.executable, "-c", EXPORTER], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, Launch.from_json(process.stdout.readline())
        finally:
            process.kill()


def begin_a_run(store: Store, trial: TrialConfig, writer: Launch, ago: float) -> str:
    """As an exporter does that is not ended yet."""
    client = Client(default_uri(store))
    experiment = client.get_experiment_by_name("away").experiment_id
    began = str(int((time.time() - ago) * 1000))
    tags = {mlflow_run.TRIAL: trial_id(trial), mlflow_run.EXPORTER: writer.to_json(), mlflow_run.BEGAN: began}
    return str(client.create_run(experiment, tags=tags).info.run_id)


def begin_an_own_run(store: Store) -> None:
    """As a launch does that is killed then."""
    client = Client(default_uri(store))
    client.create_run(client.get_experiment_by_name("away").experiment_id, tags={mlflow_run.KIND: "sweep"})


def test_what_another_process_exports_just_now_is_left_to_it(
    filled: Store, trials: list[TrialConfig], database: Path, living: tuple["subprocess.Popen[str]", Launch]
) -> None:
    process, writer = living
    assert tallies(filled) == [(12, 0, 0)]
    new = replace(trials[0], seed=7)
    filled.write(outcome(new))
    theirs = begin_a_run(filled, new, writer, ago=1.0)
    ran = sweep("sync", filled.uri)
    assert ran.returncode == 1 and "12 already up to date, 1 being exported by another launch or sync" in ran.stdout
    assert [each["run"] for each in shown(database)[trial_id(new)]] == [theirs]
    process.kill()
    process.wait()
    assert tallies(filled) == [(1, 12, 0)]
    assert once_each(database)[trial_id(new)]["status"] == "FINISHED"


def test_a_sweep_that_leaves_an_export_to_another_says_so(
    filled: Store, config: Path, database: Path, living: tuple[Any, Launch], caplog: pytest.LogCaptureFixture
) -> None:
    asked = read_sweep(config, [f"store={filled.uri}"])
    grid = {trial_id(trial): trial for trial in expand(asked)}
    assert tallies(filled) == [(12, 0, 0)]
    new = replace(expand(asked)[0], seed=7)
    filled.write(outcome(new))
    for ago, is_said in ((1.0, True), (90.0, False)):
        begin_a_run(filled, new, living[1], ago)
        with exporter.Exporter(asked, grid, filled) as found:
            found.add_artifacts([])
        assert ("MLflow lacks a part of sweep away" in caplog.text) == is_said
        for run in shown(database)[trial_id(new)]:
            Client(default_uri(filled)).delete_run(run["run"])
        caplog.clear()


def test_what_nobody_can_be_exporting_any_more_is_replaced(
    filled: Store, trials: list[TrialConfig], database: Path, living: tuple[Any, Launch]
) -> None:
    _, writer = living
    assert tallies(filled) == [(12, 0, 0)]
    new, of_nobody = replace(trials[0], seed=7), replace(trials[0], seed=8)
    filled.write(outcome(new))
    begin_a_run(filled, new, writer, ago=90.0)
    begin_a_run(filled, of_nobody, writer, ago=4000.0)  # nor does the store know of it
    begin_a_run(filled, trials[0], writer, ago=90.0)  # beside a whole one
    assert tallies(filled) == [(1, 12, 0)]
    assert once_each(database).keys() == {trial_id(trial) for trial in (*trials, new)}


def test_what_is_exported_on_another_machine_is_left_to_it_for_a_minute(
    filled: Store, trials: list[TrialConfig], database: Path, living: tuple[Any, Launch]
) -> None:
    away = replace(living[1], machine="elsewhere")
    assert tallies(filled) == [(12, 0, 0)]
    new = replace(trials[0], seed=7)
    filled.write(outcome(new))
    theirs = begin_a_run(filled, new, away, ago=1.0)
    assert tallies(filled) == [(0, 12, 1)]
    Client(default_uri(filled)).set_tag(theirs, mlflow_run.BEGAN, str(int((time.time() - 61) * 1000)))
    assert tallies(filled) == [(1, 12, 0)]
    assert once_each(database)[trial_id(new)]["status"] == "FINISHED"


def test_of_runs_that_show_the_same_trial_all_but_one_are_deleted(
    filled: Store, database: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as blind:
        blind.setattr(SweepExport, "_sorted", lambda self, wanted, found: ([], list(wanted), []))
        blind.setattr(MlflowExperiment, "delete", lambda self, found: None)
        assert tallies(filled) == tallies(filled) == [(12, 0, 0)]
    assert sorted(len(found) for found in shown(database).values()) == [1, *[2] * 12]
    begin_an_own_run(filled)
    assert tallies(filled) == [(0, 12, 0)]
    assert once_each(database) == undisturbed(filled)


def test_what_another_deletes_while_it_is_written_is_left_to_it(
    filled: Store, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        get, fill, stolen = SweepRun.get, SweepExport._fill, []

        def own_run_lost(self: SweepRun) -> mlflow_run.MlflowRun:
            run = get(self)
            if len(stolen) < 2:
                self._client.delete_run(run.run_id)
                stolen.append(run)
            return run

        def fill_lost(self: SweepExport, run: str, *arguments: Any) -> None:
            if not stolen:
                self._client.delete_run(run)
                stolen.append(run)
            fill(self, run, *arguments)

        patch.setattr(SweepRun, "get", own_run_lost)
        patch.setattr(SweepExport, "_fill", fill_lost)
        assert tallies(filled) == [(11, 0, 1)]
        assert len(stolen) == 2
    assert tallies(filled) == [(1, 11, 0)]
    assert len(once_each(database)) == 12


def test_two_that_sync_at_once_leave_one_run_a_trial(filled: Store, database: Path, undisturbed: Any) -> None:
    begin, found = threading.Barrier(2), []

    def run() -> None:
        begin.wait()
        found.extend(synced([Store(filled.uri)]))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.error for each in found] == [None, None]
    assert all(len(each) == 1 for each in shown(database).values())
    assert once_each(database) == undisturbed(filled)


def test_two_that_make_the_sweeps_own_run_at_once_leave_one_however_they_take_turns(
    filled: Store, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiments = [MlflowExperiment("away", filled, Client(f"sqlite:///{database}")) for _ in range(2)]
    for each in experiments:
        each.open()
    one, other = (SweepRun(each, None) for each in experiments)
    look, create, end = other._list, other._client.create_run, one._client.set_terminated
    looks = iter([list, look])  # the other's first was before there was a run, and it began to make its own first
    with monkeypatch.context() as patch:
        patch.setattr(other, "_list", lambda: next(looks)())
        patch.setattr(other._client, "create_run", lambda *a, **named: create(*a, start_time=1, **named))
        patch.setattr(one._client, "set_terminated", lambda *a: (other.get(), end(*a)))
        kept = one.get()
    assert [run["run"] for run in shown(database)["the sweep"]] == [kept.run_id]


def test_a_trial_is_shown_by_every_sweep_that_asks_for_it(
    filled: Store, trials: list[TrialConfig], database: Path
) -> None:
    filled.write_sweep(launched("both", trials[:3]))
    assert tallies(filled) == [(12, 0, 0), (3, 0, 0)]
    assert tallies(filled) == [(0, 12, 0), (0, 3, 0)]
    assert once_each(database, "both").keys() == set(map(trial_id, trials[:3]))


def test_of_several_stores_the_outcome_is_shown_that_counts(
    store: Store, trials: list[TrialConfig], database: Path, tmp_path: Path
) -> None:
    other, uri = Store(tmp_path / "other"), f"sqlite:///{database}"
    store.write(outcome(trials[0], "failed"))
    other.write(outcome(trials[0], "completed"))
    store.write(outcome(trials[1], "completed"))
    other.write(outcome(trials[1], "failed"))
    for order in ((store, other), (other, store)):
        tallies(*order, uri=uri)
        found = shown(database)
        assert len(found.pop("the sweep")) == 2  # one of each store
        assert [[run["status"] for run in of_trial] for of_trial in found.values()] == [["FINISHED"]] * 2
    assert sum(exported for exported, _, _ in tallies(store, other, uri=uri)) == 0


def test_a_retry_of_one_trial_leaves_the_config_of_the_whole_sweep_in_mlflow(
    filled: Store, config: Path, database: Path
) -> None:
    asked = read_sweep(config, [f"store={filled.uri}"])
    grid = {trial_id(trial): trial for trial in expand(asked)}
    record = launched("away", expand(asked))
    filled.write_sweep(replace(record, config=canonical(asked.as_dict())))
    some = read_sweep(config, [f"store={filled.uri}", "grid.seed=0", "grid.method=snip"])
    for launched_as, trials, is_whole in ((asked, grid, True), (some, dict([*grid.items()][:1]), False)):
        with exporter.Exporter(launched_as, trials, filled, is_whole=is_whole) as found:
            found.add_artifacts([])
        (run,) = shown(database)["the sweep"]
        shows = (database.parent / "mlflow-artifacts/away" / run["run"] / "artifacts/config.json").read_text()
        assert json.loads(shows)["grid"]["seed"] == [0, 1]
