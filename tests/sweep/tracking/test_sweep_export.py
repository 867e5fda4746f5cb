"""The MLflow mirror, against real databases and a real server."""

import json
import logging
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand, title, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.errors import InputError
from sweep.records import EpochRecord, MaskRecord, Outcome, RoundRecord, TrialRecord
from sweep.store import Store
from sweep.store.leases import Launch
from sweep.tracking import Exporter, default_uri, ui_command
from sweep.tracking.client import Client, MlflowUnavailable
from sweep.tracking.mlflow_run import OUTCOME, writing
from sweep.trial.record_fields import config_fields

from ...once import folder_made_once

CONFIG = """
name: mirrored
data: digits
grid:
  architecture: vgg_digits
  method: [snip, force, {name: force, rounds: 300}]
  sparsity: [0.9, 0.995]
  seed: 0
training: {epochs: 3}
"""
# mlflow and what it imports warn of their own affairs; in the exporter's thread that would end as a failed export
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def sweep(tmp_path: Path) -> SweepConfig:
    file = tmp_path / "mirrored.yaml"
    file.write_text(CONFIG)
    return read_sweep(file, [f"store={tmp_path / 'results'}"])


@pytest.fixture
def store(sweep: SweepConfig) -> Store:
    return Store(sweep.store)


@dataclass(frozen=True)
class First:
    """What came of a first export, in a process of its own."""

    folder: Path
    said: tuple[int, str, str]  # exit code, stdout, stderr


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    """A sweep called "first", exported where there was no database: making one takes seconds."""
    folder = folder_made_once(tmp_path_factory, "first", _export_first)
    return First(folder / "first", pickle.loads((folder / "said").read_bytes()))


def _export_first(base: Path) -> None:
    folder = base / "first"
    folder.mkdir()
    (folder / "first.yaml").write_text(CONFIG.replace("mirrored", "first"))
    script = """
from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.store import Store
from sweep.tracking import Exporter
sweep = read_sweep("first.yaml", ["store=results"])
with Exporter(sweep, {trial_id(trial): trial for trial in expand(sweep)}, Store(sweep.store)) as exporter:
    exporter.add_artifacts([])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=90, cwd=folder)
    (base / "said").write_bytes(pickle.dumps((ran.returncode, ran.stdout, ran.stderr)))


@pytest.fixture
def database(store: Store, first: First) -> str:
    """The default database of the store, there already: it holds another sweep."""
    assert store.local is not None
    store.local.mkdir()
    shutil.copy(first.folder / "results" / "mlflow.db", store.local)
    return default_uri(store)


def runs_of(uri: str, experiment: str) -> list[Any]:
    """All runs of an experiment that are not deleted, and whose they are."""
    client = client_of(uri)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def client_of(uri: str) -> Any:
    return Client(uri)


def exporter_of(sweep: SweepConfig, store: Store) -> Exporter:
    return Exporter(sweep, {trial_id(trial): trial for trial in expand(sweep)}, store)


def files_of(store: Store, run: Any) -> Path:
    """The folder of a run's files, which MLflow names relative to the store's database."""
    assert store.local is not None
    place = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    assert place == f"mirrored/{run.info.run_id}/artifacts"
    return store.local / "mlflow-artifacts" / place


def trial_runs(uri: str) -> dict[str, Any]:
    runs = [run for run in runs_of(uri, "mirrored") if "sweep.trial_id" in run.data.tags]
    assert len({run.data.tags["sweep.trial_id"] for run in runs}) == len(runs), "a trial has two runs"
    return {run.data.tags["sweep.trial_id"]: run for run in runs}


def outcome(trial: TrialConfig, status: str = "completed", started: int = 0, **facts: Any) -> Outcome:
    """What a trial of three epochs, a second each, might leave behind."""
    name = trial_id(trial)
    epochs = tuple(EpochRecord(name, e, 1.0 / e, 0.1 * e, None, None, 0.1, 1000.0, 1.0) for e in (1, 2, 3))
    record = TrialRecord(
        **config_fields(trial),
        **{
            "sweep": "mirrored", "status": status, "epochs": 3,
            "started": datetime(2026, 1, 1, 0, 0, started, tzinfo=UTC), "seconds": 10.0, "prune_seconds": 4.0, "test_accuracy": 0.75, "kept": 100, "git_commit": "abc", "host": "h",
            **facts,
        },
    )  # fmt: skip
    return Outcome(record, epochs)


def export(sweep: SweepConfig, store: Store, *outcomes: Outcome) -> None:
    """As an engine would: store, then tell."""
    with exporter_of(sweep, store) as exporter:
        for each in outcomes:
            exporter.finished(store.write(each))


def test_default_database_lies_in_a_local_store_and_here_for_a_remote_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_uri(Store("here")) == f"sqlite:///{tmp_path}/here/mlflow.db"
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert default_uri(Store("s3://bucket/x?region=us-east-1")) == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_trial_becomes_one_readable_run(sweep: SweepConfig, store: Store, database: str) -> None:
    trials = expand(sweep)
    export(sweep, store, *(outcome(trial) for trial in trials))
    runs = trial_runs(database)
    assert {run.info.run_name for run in runs.values()} == {title(trial) for trial in trials}
    run = runs[trial_id(trials[-1])]
    assert run.info.run_name == "vgg_digits force rounds=300 99.5% s0"
    assert run.info.status == "FINISHED"
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert (run.info.start_time, run.info.end_time) == (start, start + 10_000)
    axes = {"architecture": "vgg_digits", "method": "force", "sparsity": "0.995", "seed": "0", "data": "digits"}
    settings = {"method.rounds": "300", "training.epochs": "3", "training.weight_decay": "0.0005", "ablation": "none"}
    assert run.data.params.items() >= (axes | settings | {"pruning.batch_size": "128"}).items()
    assert "training.momentum" not in run.data.params, "what is the same for all trials is no parameter"
    tags = {"sweep.name": "mirrored", "sweep.commit": "abc", "sweep.status": "completed", "sweep.host": "h"}
    assert run.data.tags.items() >= tags.items()
    assert run.data.metrics["test_accuracy"] == 0.75 and run.data.metrics["kept"] == 100


def test_epochs_are_metrics_at_the_time_they_ended(sweep: SweepConfig, store: Store, database: str) -> None:
    export(sweep, store, outcome(expand(sweep)[0]))
    (run,) = trial_runs(database).values()
    history = client_of(database).get_metric_history(run.info.run_id, "train_loss")
    start = run.info.start_time
    assert [(m.step, m.value, m.timestamp - start) for m in history] == [
        (1, 1.0, 5000),
        (2, 0.5, 6000),
        (3, 1 / 3, 7000),
    ]


def test_rounds_are_metrics_and_layers_a_table(sweep: SweepConfig, store: Store, database: str) -> None:
    rounds = (RoundRecord(1, 0.5, 4, 0, 4, 2.5), RoundRecord(2, 0.25, 2, 1, 3, None))
    made = outcome(expand(sweep)[0], rounds=rounds)
    mask = MaskRecord(
        made.trial.trial_id, "0.weight", 0, (2, 4), 8, 4, 0.5, 3, "bits", b"U", "h", effective_density=0.375
    )
    export(sweep, store, replace(made, masks=(mask,)))
    (run,) = trial_runs(database).values()
    assert not [name for name in run.data.metrics if name.startswith(("density", "effective_density"))]
    table = (files_of(store, run) / "layers.csv").read_text()
    assert table == "layer,shape,total,kept,density,effective_kept,effective_density\n0,2x4,8,4,0.5,3,0.375\n"
    assert "Density by layer: `layers.csv`" in run.data.tags["mlflow.note.content"]
    client, history = client_of(database), {}
    for name in ("density", "kept", "revived", "lost", "force_objective"):
        history[name] = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, f"round/{name}")]
    assert history["revived"] == [(1, 0.0), (2, 1.0)]
    assert history["lost"] == [(1, 4.0), (2, 3.0)]
    assert history["density"] == [(1, 0.5), (2, 0.25)]
    assert history["force_objective"] == [(1, 2.5)]


def test_every_number_of_the_record_is_a_metric_or_a_parameter(sweep: SweepConfig, store: Store, database: str) -> None:
    hints = get_type_hints(TrialRecord)
    numbers = {f.name: {hints[f.name], *get_args(hints[f.name])} & {int, float, bool} for f in fields(TrialRecord)}
    left_out = {"sparsity", "seed", "classes", "epochs", "threads", "git_dirty"}
    facts = {name: True if bool in kind else 2 for name, kind in numbers.items() if kind and name not in left_out}
    export(sweep, store, outcome(expand(sweep)[0], **facts))
    (run,) = trial_runs(database).values()
    assert {"final_effective_sparsity", "training_flops", "speedup", "disconnected", "peak_memory_bytes"} <= set(facts)
    # of epochs a metric has a history of its own; the record repeats the last
    of_epochs = {f.name for f in fields(EpochRecord)}
    assert set(facts) - of_epochs <= set(run.data.metrics)


@pytest.mark.parametrize(
    ("status", "shown"),
    [("failed", "FAILED"), ("diverged", "FAILED"), ("interrupted", "KILLED"), ("completed", "FINISHED")],
)
def test_status_is_shown(sweep: SweepConfig, store: Store, database: str, status: str, shown: str) -> None:
    error = {"error_type": "ValueError", "error_message": "no"} if status == "failed" else {}
    export(sweep, store, outcome(expand(sweep)[0], status, **error))
    (run,) = trial_runs(database).values()
    assert (run.info.status, run.data.tags["sweep.status"]) == (shown, status)
    assert run.data.tags.get("sweep.error") == ("ValueError: no" if status == "failed" else None)


def export_again(sweep: SweepConfig, store: Store) -> None:
    """As the next launch would."""
    with exporter_of(sweep, store) as exporter:
        exporter.started(expand(sweep)[0])


def test_a_second_export_writes_nothing_and_a_new_outcome_replaces(
    sweep: SweepConfig, store: Store, database: str
) -> None:
    one, two = expand(sweep)[:2]
    export(sweep, store, outcome(one), outcome(two, "failed"))
    before = {name: run.info.run_id for name, run in trial_runs(database).items()}
    export_again(sweep, store)
    assert {name: run.info.run_id for name, run in trial_runs(database).items()} == before
    export(sweep, store, outcome(two, "completed"))  # it started when the other did: outcomes have names of their own
    after = trial_runs(database)
    assert after[trial_id(one)].info.run_id == before[trial_id(one)]
    assert after[trial_id(two)].info.run_id != before[trial_id(two)]
    assert after[trial_id(two)].info.status == "FINISHED"


def test_what_the_store_did_not_take_is_not_shown(sweep: SweepConfig, store: Store, database: str) -> None:
    trial = expand(sweep)[0]
    export(sweep, store, outcome(trial), outcome(trial, "failed"))
    (run,) = trial_runs(database).values()
    assert run.data.tags["sweep.status"] == store.statuses()[trial_id(trial)] == "completed"


def test_a_half_written_run_is_written_again(sweep: SweepConfig, store: Store, database: str) -> None:
    export(sweep, store, outcome(expand(sweep)[0]))
    (run,) = trial_runs(database).values()
    client_of(database).update_run(run.info.run_id, status="RUNNING")
    died = replace(Launch(), pid=2**22 + 1)  # no process has such a number
    client_of(database).set_tag(run.info.run_id, OUTCOME, writing(died))
    export_again(sweep, store)
    (again,) = trial_runs(database).values()
    assert again.info.run_id != run.info.run_id and again.info.status == "FINISHED"


def test_a_launch_exports_what_earlier_ones_left_out(sweep: SweepConfig, store: Store, database: str) -> None:
    trials = expand(sweep)
    for trial in trials[:3]:
        store.write(outcome(trial))
    earlier, others = (
        outcome(replace(trials[0], seed=seed), sweep=name) for seed, name in ((98, "mirrored"), (99, "x"))
    )
    store.write(earlier)  # of a larger grid under the same name
    store.write(others)
    export(sweep, store, outcome(trials[3]))
    assert set(trial_runs(database)) == {earlier.trial.trial_id, *map(trial_id, trials[:4])}


def test_what_comes_to_differ_between_trials_is_added_to_older_runs(
    sweep: SweepConfig, store: Store, database: str
) -> None:
    one, two = expand(sweep)[0], replace(expand(sweep)[0], training=replace(expand(sweep)[0].training, momentum=0.5))
    export(sweep, store, outcome(one))
    (before,) = trial_runs(database).values()
    assert "training.momentum" not in before.data.params
    store.write(outcome(two))
    export_again(sweep, store)
    after = trial_runs(database)
    assert after[trial_id(one)].info.run_id == before.info.run_id
    assert {name: run.data.params["training.momentum"] for name, run in after.items()} == {
        trial_id(one): "0.9",
        trial_id(two): "0.5",
    }


def test_trials_that_another_launch_ends_are_exported_at_the_end(
    sweep: SweepConfig, store: Store, database: str
) -> None:
    one, two = expand(sweep)[:2]
    with exporter_of(sweep, store) as exporter:
        exporter.finished(store.write(outcome(one)))
        while trial_id(one) not in trial_runs(database):
            time.sleep(0.05)
        time.sleep(0.5)  # it is told of nothing more, and waits
        store.write(outcome(two))
        exporter.add_artifacts([])
    assert set(trial_runs(database)) == {trial_id(one), trial_id(two)}


def test_the_sweep_has_one_run_of_its_own_with_config_and_figures(
    sweep: SweepConfig, store: Store, database: str, tmp_path: Path
) -> None:
    figure = tmp_path / "figure.svg"
    for text in ("first", "second"):
        figure.write_text(text)
        with exporter_of(sweep, store) as exporter:
            exporter.add_artifacts([figure])
    (run,) = runs_of(database, "mirrored")
    assert run.data.tags["sweep.kind"] == "sweep" and run.info.status == "FINISHED"
    folder = files_of(store, run)
    assert (folder / "figure.svg").read_text() == "second"
    assert json.loads((folder / "config.json").read_text())["grid"]["sparsity"] == [0.9, 0.995]


def test_metrics_of_many_epochs_go_in_pieces(sweep: SweepConfig, store: Store, database: str) -> None:
    trial = expand(sweep)[0]
    few = outcome(trial)
    epochs = tuple(replace(few.epochs[0], epoch=e) for e in range(1, 301))  # five metrics each
    export(sweep, store, Outcome(replace(few.trial, epochs=300), epochs))
    (run,) = trial_runs(database).values()
    assert len(client_of(database).get_metric_history(run.info.run_id, "train_loss")) == 300


def test_nothing_is_written_before_a_trial_starts(sweep: SweepConfig, store: Store, tmp_path: Path) -> None:
    with exporter_of(sweep, store):
        pass
    assert not (tmp_path / "results").exists()


def test_no_password_is_shown(sweep: SweepConfig, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    hidden = replace(sweep, tracking=replace(sweep.tracking, uri="http://me:secret@127.0.0.1:1/x"))
    export(hidden, store, outcome(expand(sweep)[0]))
    assert "http://***@127.0.0.1:1/x" in caplog.text and "secret" not in caplog.text
    said = str(
        MlflowUnavailable("https://me:secret@h", ValueError("no answer\nof https://me:secret@h/x?token=secret&a=1"))
    )
    assert "https://***@h/x?token=***&a=1" in said and "secret" not in said


def test_ui_is_for_this_machine_and_for_databases_only() -> None:
    command = ui_command("sqlite:////x/mlflow.db", port=5001)
    assert command[command.index("--host") + 1] == "127.0.0.1" and command[command.index("--port") + 1] == "5001"
    assert "PYTHONSAFEPATH=1" in command  # or a file mlflow.py of the working folder would be imported
    with pytest.raises(InputError, match=r"https://\*\*\*@host is a server"):
        ui_command("https://u:p@host")


def test_a_new_database_is_made_in_silence_beside_the_store(first: First) -> None:
    assert first.said == (0, "", "")
    (run,) = runs_of(f"sqlite:///{first.folder}/results/mlflow.db", "first")
    assert run.data.tags["sweep.kind"] == "sweep"
    assert sorted(os.listdir(first.folder)) == ["first.yaml", "results"]
    assert sorted(os.listdir(first.folder / "results")) == ["identity", "mlflow-artifacts", "mlflow.db"]


def answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def server(database: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """What `sweep ui` would start, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ui_command(database, port=port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not answers(port):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}", process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_server_that_dies_is_given_up_quickly_and_caught_up_with_later(
    sweep: SweepConfig,
    store: Store,
    server: tuple[str, subprocess.Popen[bytes]],
    database: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    uri, process = server
    remote = replace(sweep, tracking=replace(sweep.tracking, uri=uri))
    trials = expand(sweep)
    with exporter_of(remote, store) as exporter:
        exporter.finished(store.write(outcome(trials[0])))
        deadline = time.monotonic() + 30
        while trial_id(trials[0]) not in trial_runs(uri):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        begin = time.monotonic()
        for trial in trials[1:]:
            exporter.finished(store.write(outcome(trial)))
        assert time.monotonic() - begin < 1.0, "the sweep waited for MLflow"
        with caplog.at_level(logging.WARNING):
            exporter.close()
        assert time.monotonic() - begin < 15.0
    warnings = [record.getMessage() for record in caplog.records if record.name == "sweep.tracking"]
    assert len(warnings) == 2, "one when it dies, one at the end"
    assert all(f"sweep sync {store.name}" in warning for warning in warnings)
    with exporter_of(sweep, store) as exporter:  # to the server's own database, as the next launch would
        exporter.started(trials[0])
    assert set(trial_runs(database)) == {trial_id(trial) for trial in trials}
