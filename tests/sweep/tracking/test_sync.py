"""`sweep sync`: what there is to show, from which stores and to which server, and what must not get out."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.config.trial_identity import canonical
from sweep.store import Store
from sweep.tracking import sweep_export
from sweep.tracking.client import Client

from .helpers import end, launched, outcome, sweep, tallies
from .mlflows import Server, copy, free_port, once_each, shown

# mlflow and what it imports warn of their own affairs; in the exporter's thread that would end as a failed export
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_files_go_through_a_server_and_beside_its_database_to_one_place(
    filled: Store, trials: list[TrialConfig], database: Path
) -> None:
    port = free_port()
    with Server(database, port) as server:
        assert tallies(filled, uri=server.uri) == [(12, 0, 0)]
    files = database.parent / "mlflow-artifacts" / "1"  # the server names them by the experiment's number
    assert len(list(files.glob("*/artifacts/layers.csv"))) == 12
    filled.write(outcome(trials[0]))
    record = launched("away", trials)
    filled.write_sweep(replace(record, config=record.config.replace("away", "again")))
    ran = sweep("sync", filled.uri)
    assert ran.returncode == 0 and "1 exported, 11 already up to date" in ran.stdout
    assert len(list(files.glob("*/artifacts/layers.csv"))) == 13  # one of a run that was replaced
    assert len(list(files.glob("*/artifacts/config.json"))) == 1
    assert once_each(database).keys() == set(map(trial_id, trials))


def test_a_store_without_sweep_records_is_synced_by_the_names_in_its_rows(
    store: Store, trials: list[TrialConfig], database: Path
) -> None:
    for number, trial in enumerate(trials[:5]):
        store.write(outcome(trial, sweep="one" if number < 3 else "two"))
    ran = sweep("sync", store.uri, "--sweep", "one")
    assert ran.returncode == 0 and ran.stdout == f"{store.name}: one: 3 exported, 0 already up to date\n"
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
    assert ran.returncode == 0 and "away: skipped" in ran.stdout
    assert not shown(database)
    assert "12 exported" in sweep("sync", filled.uri, "--sweep", "away").stdout
    assert len(once_each(database)) == 12


def test_a_database_outside_the_store_is_written_to_only_if_it_is_named(
    filled: Store, trials: list[TrialConfig], database: Path, empty: Path, tmp_path: Path
) -> None:
    own = copy(empty, tmp_path / "own" / "mlflow.db")
    before = own.read_bytes()
    filled.write_sweep(launched("away", trials, uri=f"sqlite:///{own}"))
    ran = sweep("sync", filled.uri)
    assert ran.returncode == 2 and f"--sweep away --uri sqlite:///{own}" in ran.stderr
    assert own.read_bytes() == before and not shown(database)
    ran = sweep("sync", filled.uri, "--sweep", "away", "--uri", f"sqlite:///{own}")
    assert ran.returncode == 0 and len(once_each(own)) == 12
    assert not shown(database)


def test_the_sweeps_own_uri_counts_unless_another_is_named(
    filled: Store, trials: list[TrialConfig], database: Path, empty: Path
) -> None:
    own = copy(empty, database.with_name("own.db"))
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


def test_syncing_reads_by_many_and_asks_nothing_of_what_is_up_to_date(
    filled: Store, trials: list[TrialConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def count(kind: type, name: str) -> None:
        inner = getattr(kind, name)

        def counted(self: Any, *arguments: Any, **named: Any) -> Any:
            calls.append(arguments[0] if name == "_call_method" else name)
            return inner(self, *arguments, **named)

        monkeypatch.setattr(kind, name, counted)

    for kind, name in ((Store, "trials"), (Store, "epochs"), (Store, "masks"), (Client, "_call_method")):
        count(kind, name)
    monkeypatch.setattr(sweep_export, "TRIALS_A_READ", 6)
    assert tallies(filled) == [(12, 0, 0)]
    assert calls.count("epochs") == calls.count("masks") == 2
    calls.clear()
    assert tallies(filled) == [(0, 12, 0)]
    assert sorted(calls) == ["get_experiment_by_name", "search_runs", "search_runs", "trials", "trials"]


# what must not get out


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
from sweep.config.trial_config import trial_from
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
