"""The commands as a person types them: real processes, exit codes, and what bad input gets."""

import contextlib
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from sweep.cli import main
from sweep.cli.common import ORDER, CommandGroup
from sweep.store import Store

from ...once import folder_made_once

ROOT = Path(__file__).parents[3]
SWEEP = str(Path(sys.executable).with_name("sweep"))
DIGITS = str(ROOT / "configs/digits.yaml")
QUICK = [
    "--set", "training.epochs=1", "--set", "grid.seed=0", "--set", "grid.sparsity=0.9", "--set", "grid.method=dense,snip",
    "--set", "grid.architecture={name: vgg_digits, width: 8, depth: 4}",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_figures() -> None:
    """Figures are drawn here."""


def sweep(*arguments: str, cwd: Path) -> SimpleNamespace:
    """The command in this process: the same code as in its own, without loading torch each time."""
    with contextlib.chdir(cwd):
        result = CliRunner().invoke(main, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return SimpleNamespace(returncode=result.exit_code, stdout=result.stdout, stderr=result.stderr)


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """A folder in which the quick sweep has run."""

    def launch(folder):
        result = sweep("launch", DIGITS, "--local", *QUICK, cwd=folder)
        assert result.returncode == 0, result.stderr
        (folder / "result").write_bytes(pickle.dumps(result))

    folder = folder_made_once(tmp_path_factory, "launched", launch)
    return folder, pickle.loads((folder / "result").read_bytes())


@pytest.mark.slow
def test_a_launch_ends_with_zero_and_says_what_ran(launched):
    folder, result = launched
    assert "digits: ran 2 trials. Now 2 completed." in result.stdout
    assert "[2/2]" in result.stdout
    assert len(list((folder / "results/trials").glob("*.parquet"))) == 2


@pytest.mark.slow
def test_a_launch_side_by_side_stores_what_one_by_one_does(launched, tmp_path):
    folder, _ = launched
    command = [SWEEP, "launch", DIGITS, "--local", "--jobs", "2", *QUICK, "--set", "tracking.enabled=false", "--json"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert (
        json.loads(result.stdout).items() >= {"sweep": "digits", "store": "results", "ran": 2, "completed": 2}.items()
    )
    assert "Traceback" not in result.stderr
    [one, many] = [
        {row["trial_id"]: row for row in Store(home / "results").trials().to_pylist()} for home in (folder, tmp_path)
    ]
    assert len(many) == 2
    for name in many:
        by_one, by_many = one[name], many[name]
        assert all(
            by_one[key] == by_many[key] for key in ("mask_hash", "final_weights_hash", "test_accuracy", "threads")
        )


def test_a_shipped_config_goes_by_its_name_beside_whatever_is_called_so(tmp_path):
    (tmp_path / "digits").mkdir()  # a folder of results, say
    plans = [sweep("plan", name, "--json", cwd=tmp_path) for name in ("digits", DIGITS)]
    assert plans[0].stdout == plans[1].stdout
    (tmp_path / "configs").mkdir()
    text = Path(DIGITS).read_text()
    for file, seed in (("configs/digits.yaml", 7), ("digits.yaml", 8)):
        (tmp_path / file).write_text(text.replace("seed: [0, 1]", f"seed: {seed}"))
    found = [sweep("plan", name, "--json", cwd=tmp_path).stdout for name in ("digits", "digits.yaml")]
    assert [{trial["seed"] for trial in json.loads(plan)["trials"]} for plan in found] == [{7}, {8}]


@pytest.mark.parametrize("command", [["plan"], ["plan", "--json"], ["launch", "--local"], ["launch", "--dry-run"]])
def test_two_sparsities_that_are_one_are_refused_before_anything_runs(command, tmp_path):
    result = sweep(*command, DIGITS, *QUICK, "--set", "grid.sparsity=[0.3, 0.30000000000000004]", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "error: grid.sparsity: 0.3 and 0.30000000000000004 keep the same number of weights" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_the_order_of_the_help_lacks_is_listed_after_the_others():
    group = CommandGroup(
        "sweep", commands={name: click.Command(name) for name in ("zeta", "status", "alpha", "launch")}
    )
    assert group.list_commands(click.Context(group)) == ["launch", "status", "alpha", "zeta"]
    assert set(main.commands) == set(ORDER)


@pytest.mark.slow
def test_the_same_launch_again_runs_nothing_and_says_so(launched):
    folder, _ = launched
    before = {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*.parquet")}
    result = sweep("launch", DIGITS, "--local", *QUICK, cwd=folder)
    assert result.returncode == 0
    assert "nothing to run, all 2 trials are completed" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*.parquet")} == before


@pytest.mark.slow
def test_a_larger_grid_runs_only_what_is_missing(launched, tmp_path):
    folder, _ = launched
    result = sweep("launch", DIGITS, "--local", *QUICK, "--set", "grid.method=dense,snip,random", "--json", cwd=folder)
    assert result.returncode == 0
    assert (
        json.loads(result.stdout).items() >= {"sweep": "digits", "store": "results", "ran": 1, "completed": 3}.items()
    )


def test_status_counts_by_sweep_and_by_grid(launched):
    folder, _ = launched
    by_store = json.loads(sweep("status", "--json", cwd=folder).stdout)
    assert by_store["digits"]["completed"] >= 2
    by_grid = sweep("status", DIGITS, *QUICK, "--set", "grid.seed=0,1", "--json", cwd=folder)
    assert json.loads(by_grid.stdout) == {"digits": {"completed": 2, "missing": 2}}


@pytest.mark.parametrize("command", [["status"], ["failures"], ["status", "--json"]], ids=" ".join)
def test_what_looks_at_a_store_alone_starts_without_torch(launched, command):
    script = "import sys; from sweep.cli import main; main(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    asked = [sys.executable, "-c", script, *command, "--store", str(launched[0] / "results")]
    modules = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[-1].split()
    assert "pyarrow" in modules and "torch" not in modules


def test_plan_lists_ids_weights_and_what_is_missing(launched):
    folder, _ = launched
    found = json.loads(sweep("plan", DIGITS, *QUICK, "--set", "grid.seed=0,1", "--json", cwd=folder).stdout)
    assert (found["done"], found["missing"], len(found["trials"])) == (2, 2, 4)
    snip = next(t for t in found["trials"] if t["method"] == "snip")
    assert snip["kept"] == snip["prunable"] - round(0.9 * snip["prunable"])
    shown = sweep("launch", DIGITS, "--dry-run", *QUICK, cwd=folder).stdout
    assert f"{snip['kept']:,}" in shown and "completed" in shown
    assert snip["trial_id"] in sweep("plan", DIGITS, *QUICK, "--ids", cwd=folder).stdout


def test_a_trial_is_shown_by_the_beginning_of_its_id(launched):
    folder, _ = launched
    name = next((folder / "results/trials").glob("*.parquet")).stem.partition("-")[0]
    shown = sweep("trial", "show", name[:8], cwd=folder)
    assert shown.returncode == 0
    assert "test_accuracy" in shown.stdout
    values = json.loads(sweep("trial", "show", name, "--json", cwd=folder).stdout)
    assert values["trial_id"] == name
    assert [e["epoch"] for e in values["by_epoch"]] == [1]
    assert values["layers"][0]["tensor"].endswith("weight")


def test_one_trial_runs_here_without_touching_the_store(launched):
    folder, _ = launched
    plan = json.loads(sweep("plan", DIGITS, *QUICK, "--json", cwd=folder).stdout)
    name = plan["trials"][0]["trial_id"]
    before = sorted((folder / "results").rglob("*.parquet"))
    result = sweep("trial", "run", name[:6], "--config", DIGITS, *QUICK, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "epoch 1: loss" in result.stdout
    assert sorted((folder / "results").rglob("*.parquet")) == before
    again = sweep("trial", "run", name[:6], cwd=folder)
    assert again.returncode == 0
    agree, fields = re.search(r"(\d+) of (\d+) fields agree", again.stdout).groups()
    assert agree == fields
    refused = sweep("trial", "run", name, "--config", DIGITS, *QUICK, "--keep", cwd=folder)
    assert refused.returncode == 2
    assert "is completed in" in refused.stderr


@pytest.mark.slow
def test_the_report_is_written_and_printed(launched, tmp_path):
    folder, _ = launched
    result = sweep("report", "--out", str(tmp_path / "figures"), cwd=folder)
    assert result.returncode == 0, result.stderr
    kinds = {path.suffix for path in (tmp_path / "figures").glob("[!.]*")}
    assert kinds == {".png", ".svg", ".pdf", ".csv", ".md"}
    assert "SNIP" in result.stdout


def test_methods_and_architectures_are_listed(tmp_path):
    methods = json.loads(sweep("methods", "--json", cwd=tmp_path).stdout)
    assert {"force", "synflow", "dense"} <= {m["method"] for m in methods}
    found = {
        a["architecture"]: a["prunable"] for a in json.loads(sweep("architectures", "--json", cwd=tmp_path).stdout)
    }
    assert (found["resnet50"], found["vgg19"], found["vgg16"], found["resnet18"]) == (
        23467712,
        20024000,
        14715584,
        11164352,
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell, tmp_path):
    assert "_SWEEP_COMPLETE" in sweep("completion", shell, cwd=tmp_path).stdout


@pytest.mark.parametrize(
    "command", ["launch", "plan", "status", "report", "methods", "architectures", "ui", "completion"]
)
def test_help_shows_examples(command, tmp_path):
    shown = sweep(command, "--help", cwd=tmp_path).stdout
    assert "Examples:" in shown
    assert f"sweep {command}" in shown.split("Examples:")[1]


def test_help_loads_nothing_heavy(tmp_path):
    code = (
        "import sys, sweep.cli; print([m for m in ('torch','ray','mlflow','pyarrow','matplotlib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


BALANCED = ["launch", DIGITS, "--local", "--set", "pruning.sampling=balanced", "--set"]
BAD = {
    "unknown method": (["launch", DIGITS, "--set", "grid.method=forse"], "did you mean 'force'"),
    "percentage": (["launch", DIGITS, "--set", "grid.sparsity=99"], "write 0.99"),
    "no such config": (["plan", "absent.yaml"], "absent.yaml: cannot read this config"),
    "no such shipped config": (["plan", "digit"], "digit: there is no such file and no shipped config; did you mean"),
    "path to a shipped config that is elsewhere": (["plan", "x/digits.yaml"], "the shipped one is called digits alone"),
    "folder": (["plan", "."], ".: cannot read this config: Is a directory"),
    "data that is not there": (
        ["launch", str(ROOT / "configs/cifar10.yaml"), "--set", "data.download=false", "--local"],
        "data.download=true",
    ),
    "data path that is not there": (["launch", str(ROOT / "configs/tiny_imagenet.yaml"), "--local"], "data.path"),
    "no GPU": (["launch", DIGITS, "--local", "--set", "compute.gpus_per_trial=1"], "compute.gpus_per_trial=0"),
    "store that cannot be written": (
        ["launch", DIGITS, "--local", "--set", "store=/proc/x"],
        "cannot write to /proc/x",
    ),
    "more held out than there is": (["launch", DIGITS, "--local", "--set", "data.validation=5000"], "data.validation"),
    "more drawn than there is": (
        ["launch", DIGITS, "--local", "--set", "pruning.batch_size=5000"],
        "pruning.batch_size",
    ),
    "unbalanced": (
        ["launch", DIGITS, "--local", "--set", "pruning.sampling=balanced", "--set", "pruning.batch_size=15"],
        "set it to 20",
    ),
    "unbalanced with one of the seeds": (
        [*BALANCED, "pruning.batch_size=50", "--set", "grid.seed=0,1,2", "--set", "data.validation=0.95"],
        "50 images cannot be drawn equally from 10 classes of at least 3 images (seed 1); set it to 30",
    ),
    "unbalanced in what one method draws besides": (
        [*BALANCED, "pruning.batch_size=15", "--set", "grid.method=[snip, prospr]", "--set", "pruning.batches=2"],
        "15 images cannot be drawn equally",
    ),
    "percentage held out": (["plan", DIGITS, "--set", "data.validation=10%"], "not '10%'; write 0.1"),
    "a variable in the path": (
        ["plan", DIGITS, "--set", "data.path=${DATA}/digits"],
        "variables such as ${DATA} are not",
    ),
    "a variable in the store": (["plan", DIGITS, "--set", "store=$SCRATCH/runs"], "variables such as $SCRATCH are not"),
    "a hub's address": (
        ["plan", DIGITS, "--set", "data={name: parquet, path: 'hf://datasets/x/y', classes: 3, image_size: 8}"],
        "data.path: 'hf://datasets/x/y' cannot be listed (Install huggingface_hub",
    ),
    "more cores than there are": (
        ["launch", DIGITS, "--local", "--set", "compute.cpus_per_trial=4096"],
        "set it lower",
    ),
    "setting below a list": (["plan", DIGITS, "--set", "grid.seed.x=1"], "leads into [0, 1]"),
    "octal": (["plan", DIGITS, "--set", "grid.seed=010"], "a whole number, not '010'"),
    "absent store": (["status", "--store", "nowhere"], "does not exist"),
    "both engines": (["launch", DIGITS, "--local", "--address", "auto"], "give one of the two"),
    "a cluster that is not there, before any data is looked for": (
        ["launch", str(ROOT / "configs/cifar10.yaml"), "--set", "data.download=false", "--address", "127.0.0.1:1"],
        "--address 127.0.0.1:1: no Ray cluster answers there",
    ),
    "jobs on Ray": (
        ["launch", DIGITS, "--jobs", "2"],
        "Ray decides how many trials run at once, by compute.cpus_per_trial",
    ),
    "no jobs": (["launch", DIGITS, "--local", "--jobs", "0"], "--jobs"),
    "jobs for more cores than there are": (["launch", DIGITS, "--local", "--jobs", "4096"], "--jobs 4096: "),
    "jobs for a GPU that is not there": (
        ["launch", DIGITS, "--local", "-j", "2", "--set", "compute.gpus_per_trial=0.5"],
        "compute.gpus_per_trial=0",
    ),
    "network too deep for the images": (
        ["launch", DIGITS, "--set", "grid.architecture=vgg19"],
        "take vgg_digits or larger",
    ),
    "empty store": (["report"], "sweep launch"),
    "unknown trial": (["trial", "show", "abc"], "'abc' is not in"),
    "no database": (["ui"], "sweep launch"),
    "unknown option": (["launch", DIGITS, "--set", "grid.method={name: snip, rounds: 3}"], "its options: scope"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_message_exit_code_2_and_writes_nothing(case, tmp_path):
    arguments, message = BAD[case]
    result = sweep(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stdout + result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_parquet_without_the_named_column_or_with_a_label_out_of_range_is_refused(tmp_path):
    for part in ("train", "test"):
        rows = pa.table({"picture": [b"x"], "label": [0]})
        (tmp_path / "d").mkdir(exist_ok=True)
        pq.write_table(rows, tmp_path / "d" / f"{part}.parquet")
    settings = ["--set", "data.path=d", "--set", "data.image_column=img", "--set", "data.format=parquet"]
    result = sweep("launch", str(ROOT / "configs/cifar10_small.yaml"), "--local", *settings, cwd=tmp_path)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "img" in result.stderr
    assert "picture" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_label_out_of_range_names_file_and_row(tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (32, 32)).save(picture, "PNG")
    for part, label in (("train", 3), ("test", 10)):
        rows = {"img": [{"bytes": picture.getvalue(), "path": "x.png"}], "label": [label]}
        pq.write_table(pa.table(rows), tmp_path / f"{part}.parquet")
    settings = ["--set", "data.path=.", "--set", "data.format=parquet", "--set", "tracking.enabled=false"]
    result = sweep("launch", str(ROOT / "configs/cifar10_small.yaml"), "--local", *settings, cwd=tmp_path)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "label 10 is outside [0, 10)" in result.stderr
    assert "test.parquet" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test.parquet", "train.parquet"]


OWN = """
from torch import nn

class FailsInTraining(nn.Sequential):
    def forward(self, x):
        if self.training and len(x) > 2:  # the two images of a launch's check pass
            raise RuntimeError("kaboom")
        return super().forward(x)

def failing(classes):
    return FailsInTraining(nn.Flatten(), nn.Linear(64, classes))

def raising(classes):
    raise RuntimeError("kaboom")

def leaving(classes):
    raise SystemExit(3)

def wide(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(65, classes))

def short(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

def empty(classes):
    return nn.Sequential(nn.Flatten())
"""


@pytest.mark.slow
def test_a_failed_trial_gives_exit_code_1_and_the_others_complete(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own = ["--set", "grid.architecture=[own_nets:failing, {name: vgg_digits, width: 8, depth: 4}]"]
    result = sweep("launch", DIGITS, "--local", *QUICK, *own, "--set", "tracking.enabled=false", cwd=tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "failed: RuntimeError: kaboom" in result.stdout
    status = json.loads(sweep("status", "--json", cwd=tmp_path).stdout)
    assert status["digits"] == {"completed": 2, "failed": 2}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("raising", "RuntimeError: kaboom"),
        ("leaving", "called sys.exit(3)"),
        ("wide", "mat1 and mat2"),
        ("short", "it answers with [2, 3], not with [2, 10] logits"),
        ("empty", "nothing to prune"),
    ],
)
def test_a_network_of_ones_own_that_cannot_work_is_refused_before_anything_starts(
    network, message, tmp_path, monkeypatch
):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets/own_nets_too.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path / "nets")
    own = ["--set", f"grid.architecture=own_nets_too:{network}"]
    result = sweep("launch", DIGITS, "--local", *QUICK, *own, cwd=tmp_path)
    assert (result.returncode, message in result.stderr) == (2, True), result.stderr
    assert not (tmp_path / "results").exists()


def test_the_mirror_has_every_trial_of_the_launches(launched):
    import sqlite3

    folder, _ = launched
    with contextlib.closing(sqlite3.connect(folder / "results/mlflow.db")) as database:
        rows = database.execute("select value from tags where key = 'sweep.trial_id'").fetchall()
    assert {path.stem.partition("-")[0] for path in (folder / "results/trials").glob("*.parquet")} == {
        name for (name,) in rows
    }
    assert len(rows) == len(set(rows))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_sweep_with_its_exit_code_and_loses_nothing_finished(number, code, tmp_path):
    settings = [*QUICK, "--set", "training.epochs=500", "--set", "tracking.enabled=false"]
    process = subprocess.Popen(
        [SWEEP, "launch", DIGITS, "--local", *settings], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert "2 trials, 0 completed, 2 to run" in process.stdout.readline()
    deadline = time.monotonic() + 60
    while not list((tmp_path / "results").glob("checkpoints/*.pt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    assert "Traceback" not in output
    assert "interrupted" in output
    status = json.loads(sweep("status", "--json", cwd=tmp_path).stdout)
    assert status["digits"] == {"interrupted": 1, "missing": 1}
