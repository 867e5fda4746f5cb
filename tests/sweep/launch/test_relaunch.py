"""``sweep retry``: it runs trials from the store alone, and loses nothing. Which: ``test_relaunch_selection.py``."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sweep.config.config import read_sweep
from sweep.config.trial_config import trial_from
from sweep.config.trial_identity import canonical
from sweep.launch.relaunch import choose, plans
from sweep.records import Outcome
from sweep.store import Store
from sweep.trial import checkpoints
from sweep.trial.record_fields import failed_outcome
from training.data import DataConfig

from ..small import sweep

pytestmark = pytest.mark.slow  # launches, trainings or processes

CONFIG = """
name: own
data: digits
grid: {architecture: "small_networks:network", method: random, sparsity: 0.5, seed: [0, 1, 2]}
pruning: {batch_size: 37}
training: {epochs: 2, batch_size: 512}
store: results
tracking: {enabled: false}
"""


def launch(*settings: str, code: int = 0) -> None:
    result = sweep("launch", "own.yaml", "--local", *[part for each in settings for part in ("--set", each)])
    assert result.code == code, result.out + result.err


@pytest.fixture
def broken(folder, networks):
    """Of three seeds one has completed, one has failed, and one has never run."""
    launch("grid.seed=0")
    fail(networks)
    launch("grid.seed=0,1", code=1)
    store = Store("results")
    [record] = store.sweeps()
    whole = {"completed": 1, "failed": 1}
    assert json.loads(sweep("status", "--json").out) == {"own": whole}
    networks.trouble = lambda images: None
    return store, record


def fail(networks) -> None:
    """Let whatever is trained fail."""

    def trouble(images):
        if len(images) > 100:
            raise ZeroDivisionError("too many")

    networks.trouble = trouble


def by_status(store: Store) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, status in sorted(store.statuses().items()):
        found.setdefault(status, []).append(name)
    return found


# --- what failed


def test_what_failed_runs_again_and_nothing_else_does(broken):
    store, launched = broken
    before = store.outcomes()
    [failed], [completed] = by_status(store)["failed"], by_status(store)["completed"]
    listed = sweep("retry", "--failed", "--dry-run", "--local")
    assert (listed.code, failed in listed.out, store.outcomes()) == (0, True, before)
    assert json.loads(sweep("retry", failed[:6], "-n", "--json").out) == [failed]
    [planned] = plans(store, choose(store, [failed], [], [], force=False), [])
    assert (list(planned.todo), planned.is_whole) == ([failed], False)
    result = sweep("retry", "--failed", "--local", "--json")
    [summary] = json.loads(result.out)
    assert summary.items() >= {"sweep": "own", "store": str(store.local), "ran": 1, "completed": 1}.items()
    assert (result.code, store.trial(failed).status) == (0, "completed")
    assert store.outcomes()[completed] == before[completed]
    again = sweep("retry", "--failed", "--local")
    assert (again.code, "no trial to run again" in again.out) == (0, True)
    assert store.sweeps() == [launched]


def test_the_sweep_is_still_all_of_its_grid_afterwards(folder, networks):
    fail(networks)
    launch(code=1)
    store = Store("results")
    (removed,) = (store.local / "trials").glob(f"{by_status(store)['failed'][0]}*")
    removed.unlink()
    networks.trouble = lambda images: None
    assert sweep("retry", by_status(store)["failed"][0], "--local").code == 0
    assert json.loads(sweep("status", "--json").out) == {"own": {"completed": 1, "failed": 1, "missing": 1}}
    assert "own: 1 completed, 1 failed, 1 missing" in sweep("status").out


def test_what_fails_again_is_recorded_as_that_and_the_exit_code_says_so(broken, networks):
    store, _ = broken
    [name] = by_status(store)["failed"]
    fail(networks)
    result = sweep("retry", name, "--local", "--set", "compute.max_failures=0")
    assert (result.code, "ran 1 trials. Now 1 failed." in result.out) == (1, True)
    assert "did not complete again" not in result.out


def test_a_store_of_an_earlier_version_that_knows_no_sweeps(broken):
    store, _ = broken
    shutil.rmtree(store.local / "sweeps")
    assert sweep("retry", "--failed", "--local", "--set", "tracking.enabled=false").code == 0
    assert by_status(store).keys() == {"completed"}
    assert json.loads(sweep("status", "--json").out) == {"own": {"completed": 2}}


def test_a_tracking_address_whose_secret_is_not_stored_is_asked_for(broken):
    store, _ = broken
    asked = read_sweep("own.yaml", ["tracking.enabled=true", "tracking.uri=https://me:hunter2@mlflow.lab"])
    [launched] = store.sweeps()
    store.write_sweep(replace(launched, config=canonical(asked.as_dict())))
    before = store.outcomes()
    result = sweep("retry", "--failed", "--local")
    assert result.code == 2
    assert "sweep own was launched with tracking.uri https://***@mlflow.lab" in result.err
    assert "--set tracking.uri=URI" in result.err and "hunter2" not in result.err
    assert store.outcomes() == before
    assert sweep("retry", "--failed", "--local", "--set", "tracking.uri=sqlite:///other.db").code == 0
    assert Path("other.db").exists()


def test_trials_of_several_sweeps_and_recipes(folder, networks):
    fail(networks)
    launch("grid.seed=0", code=1)
    imp = "grid.method={name: imp, rounds: 1, rewind_epoch: 2}"  # more than another recipe of the same name has epochs
    launch("grid.seed=0", imp, "training.epochs=3", code=1)
    launch("grid.seed=7", "name=second", "compute.max_failures=0", code=1)
    store = Store("results")
    store.write(failed_of_no_sweep(store))
    networks.trouble = lambda images: None
    result = sweep("retry", "--failed", "--json", "--local", "--set", "tracking.enabled=false")
    listed = json.loads(result.out)
    assert sorted(each["sweep"] for each in listed) == ["own", "own", "retry", "second"]
    assert [each["completed"] for each in listed] == [1, 1, 1, 1]
    sweeps = sorted(row["sweep"] for row in store.trials(columns=["sweep"]).to_pylist())
    assert sweeps == ["own", "own", "retry", "second"]
    assert {each.name for each in store.sweeps()} == {"own", "second"}


def failed_of_no_sweep(store: Store) -> Outcome:
    """As a script leaves it that runs a trial by hand."""
    row = store.trials(columns=["config"]).to_pylist()[0]
    trial = replace(trial_from(json.loads(row["config"])), seed=99)
    return failed_outcome(trial, sweep="", error_type="WorkerLost", error_message="gone")


def test_a_diverged_trial_is_tried_again_from_the_start(folder, networks):
    launch("grid.seed=0", "training.learning_rate=1e30", code=1)
    store = Store("results")
    [name] = by_status(store)["diverged"]
    before = store.outcomes()[name]
    assert sweep("retry", "--diverged", "--local").code == 1
    assert by_status(store) == {"diverged": [name]}
    assert store.outcomes()[name] != before


def test_a_retry_that_is_stopped_leaves_the_rest_as_it_was(folder, networks):
    fail(networks)
    launch("grid.seed=0,1", code=1)
    before = Store("results").outcomes()
    networks.trouble = lambda images: signal.raise_signal(signal.SIGINT) if len(images) > 100 else None
    result = sweep("retry", "--failed", "--local")
    after = Store("results").outcomes()
    assert (result.code, "did not complete again" in result.out) == (130, False)
    assert sorted(outcome.status for outcome in after.values()) == ["failed", "interrupted"]
    assert len(before.items() & after.items()) == 1


def test_an_interrupted_trial_goes_on_from_its_checkpoint(folder, networks):
    seen = []

    def trouble(images):
        seen.append(len(images))
        if len([size for size in seen if size > 100]) == 5:
            signal.raise_signal(signal.SIGINT)

    networks.trouble = trouble
    launch("grid.seed=0", code=130)
    store = Store("results")
    [name] = by_status(store)["interrupted"]
    seen.clear()
    assert sweep("retry", "--interrupted", "--local").code == 0
    assert (store.trial(name).status, store.trial(name).attempts) == ("completed", 2)
    assert len([size for size in seen if size > 100]) == 1  # the last of two epochs of three


# --- what has completed


def test_force_runs_a_completed_trial_from_the_start_and_ends_the_same(broken, networks):
    store, _ = broken
    [name] = by_status(store)["completed"]
    before, outcome = store.trial(name), store.outcomes()[name]
    networks.trouble = lambda images: signal.raise_signal(signal.SIGINT) if len(images) > 100 else None
    stopped = sweep("retry", name, "--force", "--local")
    assert (stopped.code, f"keep their earlier outcome: {name}" in stopped.out) == (130, True)
    assert (store.outcomes()[name], store.checkpoints()) == (outcome, set())  # which nobody would go on from
    networks.trouble = lambda images: None
    assert sweep("retry", name, "--force", "--local").code == 0
    after = store.trial(name)
    assert (after.final_weights_hash, after.attempts) == (before.final_weights_hash, 1)
    assert store.outcomes()[name] != outcome
    assert len(list((store.local / "trials").glob(f"{name}*"))) == 1


def test_a_forced_rerun_that_fails_leaves_the_old_record_and_says_so(broken, networks):
    store, _ = broken
    [name] = by_status(store)["completed"]
    before, masks = store.trial(name), store.masks([name])
    fail(networks)
    result = sweep("retry", name, "--force", "--local")
    assert (result.code, f"keep their earlier outcome: {name}" in result.out) == (1, True)
    assert (store.trial(name), store.masks([name])) == (before, masks)
    assert name not in store.checkpoints()


def test_a_forced_rerun_that_is_killed_leaves_the_old_record_and_can_be_made_again(broken, folder):
    store, _ = broken
    [name] = by_status(store)["completed"]
    before, masks, epochs = store.trial(name), store.masks([name]), store.epochs([name])
    with open(folder / "small_networks.py", "a") as module:
        module.write("\nimport time\ntrouble = lambda images: time.sleep(0.5)\n")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("sweep"), "retry", name, "--force", "--local"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(folder)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while name not in store.checkpoints():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (store.trial(name), store.masks([name]), store.epochs([name])) == (before, masks, epochs)
    assert len(masks) == 3 and len(epochs) == 2
    assert sweep("retry", name, "--force", "--local").code == 0
    assert store.trial(name).final_weights_hash == before.final_weights_hash
    assert (store.trial(name).written > before.written, name in store.checkpoints()) == (True, False)


# --- data that has moved


def test_what_names_no_trial_may_be_set(broken):
    store, _ = broken
    [record] = choose(store, by_status(store)["failed"], [], [], force=False)
    free = [field.name for field in fields(DataConfig) if field.metadata.get("identity") is False]
    assert {"path", "download", "workers"} <= set(free)
    [planned] = plans(store, [record], ["data.workers=2", "data.path=there", "compute.cpus_per_trial=2"])
    assert list(planned.trials) == [record.trial_id]
    assert [(trial.data.workers, trial.data.path) for trial in planned.todo.values()] == [(2, "there")]


def pictures(folder: Path) -> None:
    """A data set of a few, in Parquet."""
    folder.mkdir()
    for part in ("train", "test"):
        rows = []
        for label in range(10):
            picture = io.BytesIO()
            Image.new("L", (8, 8), 20 * label).save(picture, "PNG")
            rows += [{"img": picture.getvalue(), "label": label}] * 12
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{part}.parquet")


def test_data_that_has_moved_is_found_by_the_path_that_is_set(folder, networks, monkeypatch):
    monkeypatch.setattr(checkpoints, "NOTABLE_SECONDS", 0.0)  # one is saved before the first step
    pictures(folder / "here")
    fail(networks)
    data = "data={name: parquet, path: here, classes: 10, image_size: 8, workers: 0}"
    launch(data, "grid.seed=0", "training.batch_size=120", "training.epochs=1", code=1)
    store = Store("results")
    [name] = by_status(store)["failed"]
    assert store.checkpoints() == {name}
    (folder / "here").rename(folder / "there")
    networks.trouble = lambda images: None
    for force in ([], ["--force"]):
        for why, settings in (("data.path", []), ("GPU", ["data.path=there", "compute.gpus_per_trial=1"])):
            result = sweep("retry", name, "--local", *force, *(part for each in settings for part in ("--set", each)))
            assert (result.code, why in result.err) == (2, True)
            assert store.checkpoints() == {name}  # nothing has begun, and nothing is lost
    result = sweep("retry", name, "--local", "--set", "data.path=there")
    assert result.code == 0, result.err
    assert json.loads(store.trial(name).config)["data"]["path"] == "there"
