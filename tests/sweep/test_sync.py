"""MLflow away, and `sweep sync`: real servers killed, hung and absent, and what their databases show after."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from pruning.masks import digest
from pruning.packing import pack
from sweep.cli import main
from sweep.config import TrialConfig, canonical, read_sweep
from sweep.grid import expand, trial_id
from sweep.recording import describe
from sweep.records import EpochRecord, MaskRecord, Outcome, SweepRecord, TrialRecord
from sweep.store import Store
from sweep.store.leases import Launch
from sweep.tracking import default_uri, exporter, mirror, runs, sync
from sweep.tracking.client import Client
from sweep.tracking.mirror import Mirror

from .mlflows import Server, black_hole, copy, free_port, once_each, shown

CONFIG = """
name: away
data: digits
grid:
  architecture: {name: vgg_digits, width: 8, depth: 4}
  method: [snip, random]
  sparsity: [0.5, 0.9, 0.99]
  seed: [0, 1]
training: {epochs: 2}
"""
# mlflow and what it imports warn of their own affairs; in the exporter's thread that would end as a failed export
pytestmark = pytest.mark.filterwarnings("default")


# a store by hand


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "away.yaml"
    file.write_text(CONFIG)
    return file


@pytest.fixture
def trials(config: Path) -> list[TrialConfig]:
    return expand(read_sweep(config))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def outcome(trial: TrialConfig, status: str = "completed", **facts: Any) -> Outcome:
    """What a trial of three epochs and one layer might leave behind."""
    name, bits = trial_id(trial), torch.arange(8).reshape(2, 4) % 2 == 0
    encoding, packed = pack(bits)
    record = TrialRecord(
        **describe(trial),
        **{
            "sweep": "away", "status": status, "epochs": 3, "started": datetime(2026, 1, 1, tzinfo=UTC), "seconds": 10.0,
            "prune_seconds": 4.0, "test_accuracy": 0.5 + int(name, 16) % 1000 / 2000, "kept": 100, "host": "h", **facts,
        },
    )  # fmt: skip
    epochs = tuple(EpochRecord(name, e, 1.0 / e, 0.1 * e, None, None, 0.1, 1000.0, 1.0) for e in (1, 2, 3))
    mask = MaskRecord(name, "0.weight", 0, (2, 4), 8, 4, 0.5, 4, encoding, packed, digest(bits), effective_density=0.5)
    return Outcome(record, epochs, (mask,))


def launched(name: str, trials: list[TrialConfig], **tracking: Any) -> SweepRecord:
    """What a launch of these trials leaves behind."""
    ids, config = tuple(map(trial_id, trials)), {"name": name, "tracking": {"enabled": True, "uri": None} | tracking}
    return SweepRecord(name, canonical(config), ids, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def filled(store: Store, trials: list[TrialConfig], database: Path) -> Store:
    """Twelve trials of a sweep that MLflow has heard nothing of."""
    for trial in trials:
        store.write(outcome(trial))
    store.write_sweep(launched("away", trials))
    return store


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    Client(f"sqlite:///{file}").search_experiments(max_results=1)
    return file


@pytest.fixture
def database(store: Store, empty: Path) -> Path:
    """The store's own, with nothing in it."""
    assert store.local is not None
    return copy(empty, store.local / "mlflow.db")


@pytest.fixture
def undisturbed(empty: Path, tmp_path: Path) -> Callable[[Store], dict[str, dict[str, Any]]]:
    """What a database shows of a store that was there all the time, and that nobody else writes to."""

    def export(store: Store) -> dict[str, dict[str, Any]]:
        file = copy(empty, tmp_path / "undisturbed" / "mlflow.db")
        assert all(each.is_done for each in synced([store], f"sqlite:///{file}"))
        found = once_each(file)
        assert found and all(len(each["metrics"]) > 20 for each in found.values())
        return found

    return export


# the commands


def sweep(*arguments: str) -> SimpleNamespace:
    """The command in this process."""
    result = CliRunner().invoke(main, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return SimpleNamespace(returncode=result.exit_code, stdout=result.stdout, stderr=result.stderr)


@contextlib.contextmanager
def no_progress(what: str) -> Iterator[mirror.Tell]:
    yield lambda done, total: None


def synced(stores: list[Store], uri: str | None = None, name: str | None = None) -> list[sync.Synced]:
    return list(sync.sync(sync.jobs(stores, uri, name), no_progress))


def tallies(*stores: Store, uri: str | None = None) -> list[tuple[int, int, int]]:
    """Exported, level already and busy, by sweep."""
    found = synced(list(stores), uri)
    assert not any(each.error for each in found)
    return [(each.exported, each.level, each.busy) for each in found]


LAUNCH = """
import json, sys, time
from sweep.cli import main
from sweep.tracking import Exporter

spent = dict.fromkeys(("started", "epoch", "finished", "add_artifacts", "close"), 0.0)

def watch(name):
    inner = getattr(Exporter, name)
    def outer(*arguments):
        begin = time.monotonic()
        try:
            return inner(*arguments)
        finally:
            spent[name] += time.monotonic() - begin
    setattr(Exporter, name, outer)

for name in spent:
    watch(name)
try:
    main(sys.argv[1:])
finally:
    print(json.dumps({"spent": spent, "ended": time.time()}), flush=True)
"""


@pytest.fixture
def launch(config: Path, store: Store) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Begins `sweep launch` in a process of its own, which says at its end what the exporter took of its time."""
    with contextlib.ExitStack() as stack:

        def begin(*settings: str) -> "subprocess.Popen[str]":
            command = [sys.executable, "-c", LAUNCH, "launch", str(config), "--local"]
            for setting in (f"store={store.uri}", *settings):
                command += ["--set", setting]
            out = subprocess.PIPE
            process = stack.enter_context(subprocess.Popen(command, stdout=out, stderr=out, text=True))
            stack.callback(process.kill)
            return process

        yield begin


def end(process: "subprocess.Popen[str]") -> SimpleNamespace:
    """What a launch said, how long the exporter kept it waiting, and how long the interpreter took to end."""
    stdout, stderr = process.communicate(timeout=250)
    now = time.time()
    *said, last = stdout.splitlines()
    values = json.loads(last)
    waited, to_exit = values["spent"], now - values["ended"]
    return SimpleNamespace(
        returncode=process.returncode, said="\n".join(said) + stderr, stderr=stderr, waited=waited, to_exit=to_exit
    )


# away while a sweep runs


def check_that_nothing_waited(ran: SimpleNamespace, store: Store) -> None:
    """The sweep ended well, and MLflow cost it no more than the seconds that a late answer is waited for."""
    assert ran.returncode == 0, ran.said
    assert ran.waited["close"] < exporter.SILENCE_SECONDS + 1.0
    assert sum(ran.waited.values()) - ran.waited["close"] < 0.5, "a trial waited for MLflow"
    assert ran.to_exit < 15.0, "the interpreter waited for a call that nobody answers"
    assert f"run: sweep sync {store.name}" in ran.stderr


@pytest.mark.slow
def test_a_server_that_is_killed_and_hangs_at_a_third_of_a_sweep_costs_it_nothing_and_is_made_level(
    launch: Any, store: Store, database: Path, undisturbed: Any
) -> None:
    port = free_port()
    with Server(database, port) as server:
        process = launch(f"tracking.uri={server.uri}")
        for line in process.stdout:
            if line.startswith("[4/12]"):
                break
        while not shown(database):  # it was there, and in use
            time.sleep(0.05)
        server.kill()
    with black_hole(port):
        ran = end(process)
    check_that_nothing_waited(ran, store)
    assert len(store.completed()) == 12
    assert len(shown(database)) < 13, "it missed nothing: this tests nothing"

    with Server(database, port):
        first, second = sweep("sync", store.uri, "--json"), sweep("sync", store.uri, "--json")
    assert first.returncode == second.returncode == 0, first.stderr
    [one], [two] = json.loads(first.stdout), json.loads(second.stdout)
    assert one["exported"] > 0 and one["exported"] + one["level"] == 12
    assert (two["exported"], two["level"]) == (0, 12)
    assert once_each(database) == undisturbed(store)


@pytest.mark.slow
def test_a_server_that_refuses_from_the_start_costs_a_sweep_nothing(
    launch: Any, store: Store, database: Path, undisturbed: Any
) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    ran = end(launch(f"tracking.uri={uri}", "grid.sparsity=0.9"))
    check_that_nothing_waited(ran, store)
    assert len(store.completed()) == 4 and "Connection refused" in ran.stderr

    begin = time.monotonic()
    refused = sweep("sync", store.uri)
    assert refused.returncode == 1 and time.monotonic() - begin < 30.0
    assert refused.stdout == f"{store.name}: away: not synced\n"
    assert refused.stderr.startswith(f"error: MLflow at {uri} does not answer as it should (")
    assert refused.stderr.count("\n") == 1

    assert sweep("sync", store.uri, "--uri", f"sqlite:///{database}").returncode == 0
    assert once_each(database) == undisturbed(store)


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True], ids=["never answers", "takes no connection"])
def test_a_server_that_hangs_from_the_start_costs_a_sweep_seconds_whatever_the_environment_says(
    launch: Any, store: Store, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    port = free_port()
    with black_hole(port, full):
        ran = end(launch(f"tracking.uri=http://127.0.0.1:{port}", "grid.sparsity=0.9", "grid.seed=0"))
    check_that_nothing_waited(ran, store)
    assert len(store.completed()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True], ids=["never answers", "takes no connection"])
def test_a_sync_gives_up_a_server_that_hangs_whatever_the_environment_says(
    filled: Store, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    filled.write_sweep(launched("other", []))
    port = free_port()
    with black_hole(port, full):
        begin = time.monotonic()
        ran = sweep("sync", filled.uri, "--uri", f"http://127.0.0.1:{port}", "--json")
        assert 15.0 < time.monotonic() - begin < 30.0
    assert ran.returncode == 1
    assert [each["exported"] for each in json.loads(ran.stdout)] == [0, 0], "each server is waited for once"
    assert ran.stderr.count("error:") == 1 and "TimeoutError: no answer for 20 s" in ran.stderr


@pytest.mark.slow
def test_after_a_failure_the_end_of_a_sweep_waits_for_no_further_attempt(
    config: Path, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exporter, "RETRY_SECONDS", 0.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    port = free_port()
    asked = read_sweep(config, [f"store={store.uri}", f"tracking.uri=http://127.0.0.1:{port}"])
    found = exporter.Exporter(asked, {trial_id(trial): trial for trial in expand(asked)}, store)
    with black_hole(port):
        found.add_artifacts([])
        while "does not answer as it should" not in caplog.text:
            time.sleep(0.05)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
        found.add_artifacts([])
        time.sleep(1.0)
        begin = time.monotonic()
        found.close()
        assert time.monotonic() - begin < 1.0
    assert f"run: sweep sync {store.name}" in caplog.text


# killed while exporting

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


@pytest.mark.slow
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


@pytest.mark.slow
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
    tags = {runs.TRIAL: trial_id(trial), runs.EXPORTER: writer.to_json(), runs.BEGAN: began}
    return str(client.create_run(experiment, tags=tags).info.run_id)


def begin_an_own_run(store: Store) -> None:
    """As a launch does that is killed then."""
    client = Client(default_uri(store))
    client.create_run(client.get_experiment_by_name("away").experiment_id, tags={runs.KIND: "sweep"})


def test_what_another_process_exports_just_now_is_left_to_it(
    filled: Store, trials: list[TrialConfig], database: Path, living: tuple["subprocess.Popen[str]", Launch]
) -> None:
    process, writer = living
    assert tallies(filled) == [(12, 0, 0)]
    new = replace(trials[0], seed=7)
    filled.write(outcome(new))
    theirs = begin_a_run(filled, new, writer, ago=1.0)
    ran = sweep("sync", filled.uri)
    assert ran.returncode == 1 and "12 level already, 1 being exported by another launch or sync" in ran.stdout
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
    Client(default_uri(filled)).set_tag(theirs, runs.BEGAN, str(int((time.time() - 61) * 1000)))
    assert tallies(filled) == [(1, 12, 0)]
    assert once_each(database)[trial_id(new)]["status"] == "FINISHED"


# several at once


def test_of_runs_that_show_the_same_trial_all_but_one_are_deleted(
    filled: Store, database: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as blind:
        blind.setattr(Mirror, "_sorted", lambda self, wanted, found: ([], list(wanted), []))
        blind.setattr(Mirror, "_delete", lambda self, found: None)
        assert tallies(filled) == tallies(filled) == [(12, 0, 0)]
    assert sorted(len(found) for found in shown(database).values()) == [1, *[2] * 12]
    begin_an_own_run(filled)
    assert tallies(filled) == [(0, 12, 0)]
    assert once_each(database) == undisturbed(filled)


def test_what_another_deletes_while_it_is_written_is_left_to_it(
    filled: Store, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        own_run, fill, stolen = Mirror._own_run, Mirror._fill, []

        def own_run_lost(self: Mirror) -> runs.Shown:
            run = own_run(self)
            if len(stolen) < 2:
                self._client.delete_run(run.run_id)
                stolen.append(run)
            return run

        def fill_lost(self: Mirror, run: str, *arguments: Any) -> None:
            if not stolen:
                self._client.delete_run(run)
                stolen.append(run)
            fill(self, run, *arguments)

        patch.setattr(Mirror, "_own_run", own_run_lost)
        patch.setattr(Mirror, "_fill", fill_lost)
        assert tallies(filled) == [(11, 0, 1)]
        assert len(stolen) == 2
    assert tallies(filled) == [(1, 11, 0)]
    assert len(once_each(database)) == 12


@pytest.mark.slow
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
        assert {run["status"] for run in once_each(database).values()} == {"FINISHED"}
    assert sum(exported for exported, _, _ in tallies(store, other, uri=uri)) == 0


# what there is to sync


@pytest.mark.slow
def test_files_that_have_no_way_to_mlflow_keep_no_trial_from_it(
    filled: Store, trials: list[TrialConfig], database: Path
) -> None:
    port = free_port()
    with Server(database, port) as server:  # whose artifacts go through it
        assert tallies(filled, uri=server.uri) == [(12, 0, 0)]
    filled.write(outcome(trials[0]))
    record = launched("away", trials)
    filled.write_sweep(replace(record, config=record.config.replace("away", "again")))
    ran = sweep("sync", filled.uri)
    assert ran.returncode == 1 and "1 exported, 11 level already" in ran.stdout
    assert "it lacks the config of sweep away" in ran.stderr
    assert once_each(database).keys() == set(map(trial_id, trials))


def test_a_store_without_sweep_records_is_synced_by_the_names_in_its_rows(
    store: Store, trials: list[TrialConfig], database: Path
) -> None:
    for number, trial in enumerate(trials[:5]):
        store.write(outcome(trial, sweep="one" if number < 3 else "two"))
    ran = sweep("sync", store.uri, "--sweep", "one")
    assert ran.returncode == 0 and ran.stdout == f"{store.name}: one: 3 exported, 0 level already\n"
    assert not shown(database, "two")
    ran = sweep("sync", store.uri, "--json")
    facts = {"store": store.name, "uri": f"sqlite:///{database}", "busy": 0, "is_off": False, "error": None}
    assert json.loads(ran.stdout) == [
        facts | {"sweep": "one", "exported": 0, "level": 3},
        facts | {"sweep": "two", "exported": 2, "level": 0},
    ]
    assert once_each(database, "two").keys() == set(map(trial_id, trials[3:5]))


def test_a_failed_outcome_gives_way_to_a_completed_one(store: Store, trials: list[TrialConfig], database: Path) -> None:
    for status, error in (("failed", "ValueError"), ("failed", "MemoryError"), ("completed", None)):
        store.write(outcome(trials[0], status, error_type=error))
        assert tallies(store) == [(1, 0, 0)]
        tags = once_each(database)[trial_id(trials[0])]["tags"]
        assert tags["sweep.status"] == status and tags.get("sweep.error", "None").startswith(str(error))


def test_a_sweep_with_the_mirror_off_is_left_out_unless_it_is_named(
    filled: Store, trials: list[TrialConfig], database: Path
) -> None:
    filled.write_sweep(launched("away", trials, enabled=False))
    ran = sweep("sync", filled.uri)
    assert ran.returncode == 0 and "away: left out" in ran.stdout
    assert not shown(database)
    assert "12 exported" in sweep("sync", filled.uri, "--sweep", "away").stdout
    assert len(once_each(database)) == 12


def test_the_sweeps_own_uri_counts_unless_another_is_named(
    filled: Store, trials: list[TrialConfig], database: Path, empty: Path, tmp_path: Path
) -> None:
    own = copy(empty, tmp_path / "own" / "mlflow.db")
    filled.write_sweep(launched("away", trials, uri=f"sqlite:///{own}"))
    assert tallies(filled) == [(12, 0, 0)] and len(once_each(own)) == 12
    assert not shown(database)


@pytest.mark.parametrize(
    ("arguments", "said"),
    {
        "no such store": (["nowhere"], "nowhere does not exist"),
        "no such sweep": (["STORE", "--sweep", "x"], "--sweep x: not in STORE, which has: away"),
        "no such kind": (["STORE", "--uri", "gopher://x"], "tracking.uri: gopher://x"),
        "no port": (["STORE", "--uri", "http://host:notaport"], "tracking.uri: http://host:notaport"),
        "no host": (["STORE", "--uri", "http://"], "it names no host"),
        "no driver": (["STORE", "--uri", "mssql://u:hunter2@h/x"], "tracking.uri: mssql://***@h/x"),
        "no folder": (["STORE", "--uri", "sqlite:////proc/nowhere/mlflow.db"], "/proc/nowhere"),
    }.values(),
)  # fmt: skip
def test_bad_input_is_told_and_exits_with_two(filled: Store, arguments: list[str], said: str) -> None:
    ran = sweep("sync", *(each.replace("STORE", filled.uri) for each in arguments))
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ") and said.replace("STORE", filled.name) in ran.stderr
    assert "hunter2" not in ran.stdout + ran.stderr


def test_syncing_reads_by_many_and_asks_nothing_of_what_is_level(
    filled: Store, trials: list[TrialConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def count(kind: type, name: str) -> None:
        inner = getattr(kind, name)

        def counted(self: Any, *arguments: Any, **named: Any) -> Any:
            calls.append(arguments[0] if name == "_ask" else name)
            return inner(self, *arguments, **named)

        monkeypatch.setattr(kind, name, counted)

    for kind, name in ((Store, "trials"), (Store, "epochs"), (Store, "masks"), (Client, "_ask")):
        count(kind, name)
    monkeypatch.setattr(mirror, "TRIALS_A_READ", 6)
    assert tallies(filled) == [(12, 0, 0)]
    assert calls.count("epochs") == calls.count("masks") == 2
    calls.clear()
    assert tallies(filled) == [(0, 12, 0)]
    assert sorted(calls) == ["get_experiment_by_name", "search_runs", "search_runs", "trials", "trials"]


# what must not get out


@pytest.mark.slow
def test_secrets_in_uris_are_nowhere(launch: Any, config: Path, store: Store, database: Path, tmp_path: Path) -> None:
    port, said = free_port(), []
    secret = f"http://me:hunter2@127.0.0.1:{port}"
    with Server(database, port):
        ran = end(launch(f"tracking.uri={secret}", "grid.sparsity=0.9", "grid.seed=0"))
        assert ran.returncode == 0 and len(once_each(database)) == 2, ran.said
        said.append(ran.said)
        trial, message = replace(expand(read_sweep(config))[0], seed=9), f"{secret}?token=hunter3"
        old = Store(tmp_path / "old")  # by a version that did not redact
        old.write(outcome(trial, "failed", error_type="X", error_message=message, sweep="old"))
        ran = sweep("sync", store.uri, old.uri, "--uri", secret, "--json")
        assert ran.returncode == 0 and len(once_each(database, "old")) == 1
        said.append(ran.stdout + ran.stderr)
    ran = end(launch(f"tracking.uri={secret}", "grid.sparsity=0.99", "grid.seed=0"))
    assert ran.returncode == 0 and f"sweep sync {store.name} --uri 'http://***@127.0.0.1" in ran.stderr
    said.append(ran.said)
    ran = sweep("sync", store.uri, "--uri", f"{secret}?token=hunter3")
    assert ran.returncode == 1 and "***" in ran.stderr
    said.append(ran.stdout + ran.stderr)
    written = str(store.trials().to_pylist()) + str(store.sweeps())  # Parquet is compressed
    assert store.local is not None
    files = [file for file in store.local.rglob("*") if file.is_file()]
    assert {".parquet", ".db", ".json"} <= {file.suffix for file in files}
    for part in ("hunter2", "hunter3"):
        assert not any(part in text for text in (*said, written))
        assert not [file for file in files if part.encode() in file.read_bytes()]


def test_a_secret_that_the_store_does_not_keep_is_asked_for(filled: Store, trials: list[TrialConfig]) -> None:
    filled.write_sweep(launched("away", trials, uri="https://***@mlflow.lab"))
    ran = sweep("sync", filled.uri)
    assert ran.returncode == 2
    assert "https://***@mlflow.lab" in ran.stderr and "--sweep away --uri URI" in ran.stderr


@pytest.mark.slow
def test_nothing_that_a_stored_config_names_is_imported(
    store: Store, trials: list[TrialConfig], database: Path
) -> None:
    assert store.local is not None
    trace = store.local.parent / "imported"
    (store.local.parent / "strangers.py").write_text(f"open({str(trace)!r}, 'w').close()\ndef build(classes): ...\n")
    values = trials[0].as_dict()
    for axis in ("architecture", "method"):
        values[axis] = {"name": "strangers:build"}
    made = outcome(trials[0])
    store.write(replace(made, trial=replace(made.trial, config=canonical(values), architecture="strangers:build")))
    record = launched("away", trials[:1])
    config = json.loads(record.config) | {"grid": {axis: [values[axis]] for axis in ("architecture", "method")}}
    store.write_sweep(replace(record, config=canonical(config)))
    script = """
import json, sys, os
from pathlib import Path
from sweep.cli import main
from sweep.config import trial_from
from sweep.store import Store
trace = Path("imported")
try:
    main(["sync", sys.argv[1]])
except SystemExit as end:
    assert end.code == 0
assert not trace.exists() and "strangers" not in sys.modules, "imported"
[row] = Store(sys.argv[1]).trials().to_pylist()
try:
    trial_from(json.loads(row["config"]))  # which other commands do, and should
except ValueError:
    pass
assert trace.exists(), "it would not have been imported anyway: this tests nothing"
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, store.uri], cwd=store.local.parent, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    [run] = once_each(database).values()
    assert run["params"]["architecture"] == "strangers:build"
