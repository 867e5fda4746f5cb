"""MLflow away: real servers killed, hung and absent while a sweep runs, and what it costs the sweep."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.store import Store
from sweep.tracking import exporter

from .helpers import end, launched, sweep
from .mlflows import Server, black_hole, free_port, once_each, shown

# mlflow and what it imports warn of their own affairs; in the exporter's thread that would end as a failed export
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def check_that_nothing_waited(ran: SimpleNamespace, store: Store) -> None:
    """The sweep ended well, and MLflow cost it no more than the seconds that a late answer is waited for."""
    assert ran.returncode == 0, ran.said
    assert ran.waited["close"] < exporter.ANSWER_SECONDS + 1.0
    assert sum(ran.waited.values()) - ran.waited["close"] < 0.5, "a trial waited for MLflow"
    assert ran.to_exit < 15.0, "the interpreter waited for a call that nobody answers"
    assert f"run: sweep sync {store.name}" in ran.stderr


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
