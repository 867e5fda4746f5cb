"""clusters/slurm.sh as Slurm runs it: tasks of an array at once on one folder, one of which is told to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweep.store.leases import Leases

from .conftest import Lab, descendants, table

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "clusters/slurm.sh"


@pytest.fixture
def slurm(lab: Lab) -> "Slurm":
    return Slurm(lab)


class Slurm:
    """Starts tasks as Slurm does. ``squeue`` says that a task runs, ``scontrol`` writes down what it is asked."""

    def __init__(self, lab: Lab):
        self.lab, self.requeued = lab, lab.folder / "requeued"
        commands = lab.folder / "commands"
        commands.mkdir()
        for name, body in {"squeue": "echo RUNNING", "scontrol": f'echo "$*" >> {self.requeued}'}.items():
            (commands / name).write_text(f"#!/bin/sh\n{body}\n")
            (commands / name).chmod(0o700)
        path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = lab.environment | {"PATH": path, "SLURM_ARRAY_JOB_ID": "7"}

    def start(self, task: int) -> "subprocess.Popen[bytes]":
        environment = self.environment | {"SLURM_JOB_ID": str(100 + task), "SLURM_ARRAY_TASK_ID": str(task)}
        with (self.lab.folder / f"sweep-7-{task}.log").open("a") as log:
            process = subprocess.Popen(
                ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), "bash", str(SCRIPT), "faults.yaml", "results", "--set", "grid.sparsity=0.9"],
                cwd=self.lab.folder, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.lab.children.append(process)
        return process

    def said(self, task: int) -> str:
        return (self.lab.folder / f"sweep-7-{task}.log").read_text()


def test_tasks_share_the_trials_and_one_that_is_told_to_end_is_queued_again(slurm: Slurm, undisturbed) -> None:
    lab = slurm.lab
    first, second = slurm.start(0), slurm.start(1)
    while not {launch.pid for launch in Leases(lab.store.files).running().values()} & set(descendants(first.pid)):
        assert first.poll() is None, slurm.said(0)
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)  # to the script alone, as --signal=B:TERM does
    assert first.wait(timeout=120) == 143, slurm.said(0)
    assert "resumes trials that were stopped" in slurm.said(0)
    assert second.wait(timeout=240) == 0, slurm.said(1)  # with the trials that the first has left
    results = table(lab.store)
    assert results == {name: undisturbed[name] for name in results} and len(results) == 3
    assert len(lab.store.loose("trials")) == len(results)
    assert slurm.requeued.read_text() == "requeue 100\n"  # and not the one that ended by itself
