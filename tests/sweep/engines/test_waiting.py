"""On a cluster that grows: Ray's autoscaler, real raylets, real trials, and what a launch says while they wait."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.store import Store
from tests.autoscaler import Cluster, Machine, autoscaled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# A GPU of this cluster is a number that Ray counts: trials that hold a share of one train on the CPU
LAUNCHER = """
import sys
from sweep.engines.on_ray import environment
environment.prepare("auto")
from sweep.cli import main
from sweep.engines.on_ray import driver
from sweep.trial.settings import RunSettings

class OnCpu:
    of = staticmethod(lambda sweep, device: RunSettings("cpu", sweep.name, sweep.compute))

driver.RunSettings = OnCpu
main(sys.argv[1:])
"""

# Notes where it runs; its training goes on when the test allows it: the first 16 together, and then the last one
NETWORK = """
import json, os, time
from pathlib import Path
from torch import nn

HERE = Path(__file__).parent
NODE = os.environ.get("RAY_OVERRIDE_NODE_ID_FOR_TESTING")  # none on the driver, which builds it to count its weights

class Waits(nn.Identity):
    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def forward(self, images):
        while NODE and self.training and not (HERE / self.gate).exists():
            time.sleep(0.05)
        return images

def network(classes):
    gate = "go"
    if NODE:
        with (HERE / "notes").open("a") as notes:
            notes.write(json.dumps([NODE, os.environ["CUDA_VISIBLE_DEVICES"], os.getpid()]) + chr(10))
        gate = "go" if len((HERE / "notes").read_text().splitlines()) <= 16 else "end"
    return nn.Sequential(Waits(gate), nn.Flatten(), nn.Linear(64, classes))
"""

CONFIG = """
name: grows
data: digits
grid: {architecture: "waits:network", method: snip, sparsity: 0.5, seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]}
training: {epochs: 1, batch_size: 100}
compute: {gpus_per_trial: 0.25, cpus_per_trial: 1}
store: results
tracking: {enabled: false}
"""

GPU = Machine("gpu", cpus=8, gpus=2, most=2)
SECONDS = 280.0  # generous: it did not hang


class Launch:
    """A ``sweep launch`` in a folder of its own."""

    def __init__(self, folder: Path, cluster: Cluster, *arguments: str):
        self.folder = folder
        (folder / "waits.py").write_text(NETWORK)
        (folder / "grows.yaml").write_text(CONFIG)
        (folder / "launcher.py").write_text(LAUNCHER)
        self.environment = os.environ | cluster.environment | {"PYTHONPATH": str(folder)}
        command = [sys.executable, "launcher.py", "launch", "grows.yaml", "--address", cluster.address, *arguments]
        with (folder / "output").open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def said(self) -> str:
        """All that it has printed."""
        return (self.folder / "output").read_text()

    def notes(self) -> list[Any]:
        """Node, cards and process of each trial that has started."""
        notes = self.folder / "notes"
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []

    def wait_for(self, what: Callable[[], Any]) -> None:
        """Wait until something is so, while the launch runs."""
        deadline = time.monotonic() + SECONDS
        while not what():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def run(self, *arguments: str) -> str:
        """Another command, from another process."""
        command = [str(Path(sys.executable).with_name("sweep")), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def end(self) -> None:
        """Kill it, if it still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with autoscaled(GPU, idle_seconds=3) as made:
        yield made


@pytest.fixture
def launch(tmp_path: Path, cluster: Cluster) -> Iterator[Callable[..., Launch]]:
    begun: list[Launch] = []

    def begin(*arguments: str) -> Launch:
        begun.append(Launch(tmp_path, cluster, *arguments))
        return begun[-1]

    yield begin
    for each in begun:
        each.end()


def test_a_sweep_finds_no_worker_gets_all_it_needs_at_once_and_leaves_none(
    cluster: Cluster, launch: Callable[..., Launch]
) -> None:
    sweep = launch()
    # 16 share four cards on two machines; the seventeenth is told why it waits
    sweep.wait_for(lambda: len(sweep.notes()) == 16)
    by_card = Counter((node, card) for node, card, _ in sweep.notes())
    assert sorted(by_card.values()) == [4, 4, 4, 4], "four trials share a card, each sees its own only"
    assert len({process for _, _, process in sweep.notes()}) == 16
    assert "17 trials wait: " in sweep.said, "before there was a machine"
    sweep.wait_for(lambda: "wait: the cluster is at its maximum (max_workers: 2)" in sweep.said)
    sweep.wait_for(lambda: "1 trial waits: the cluster is at its maximum (max_workers: 2)" in sweep.run("status"))
    first = cluster.launches()[0]
    assert (first["kind"], first["count"]) == ("gpu", 2), "the first request is for all that the grid needs"
    (sweep.folder / "go").touch()
    cluster.wait_for_workers(1)  # the tail is short: the machine that has nothing left to run goes first
    assert "16 completed" in sweep.run("status") and sweep.process.poll() is None
    (sweep.folder / "end").touch()
    assert sweep.process.wait(SECONDS) == 0, sweep.said
    assert Counter(Store(sweep.folder / "results").statuses().values()) == {"completed": 17}
    cluster.wait_for_workers(0)
    assert cluster.counts() == [0, 1, 2, 1, 0]


def test_a_launch_whose_probe_waits_says_that_the_cloud_refuses_and_that_a_setup_fails(
    cluster: Cluster, launch: Callable[..., Launch]
) -> None:
    error = "Node Launch Exception (VcpuLimitExceeded): more vCPU capacity than your current vCPU limit of 0 allows"
    cluster.refuse(gpu=error)
    sweep = launch("--set", "compute.gpus_per_trial=auto")
    refused = "17 trials wait: the cloud refuses machines of gpu (over a quota: (VcpuLimitExceeded): more vCPU"
    sweep.wait_for(lambda: refused in sweep.said)
    sweep.wait_for(lambda: refused in sweep.run("status"))  # where no trial has started yet
    cluster.offer(replace(GPU, setup="echo no space left >&2; false"))
    cluster.refuse()
    broken = "17 trials wait: the set-up of machines of gpu fails (Setup command"
    sweep.wait_for(lambda: broken in sweep.said)
    assert "no space left" in sweep.said
    os.killpg(sweep.process.pid, signal.SIGINT)
    assert sweep.process.wait(SECONDS) == 128 + signal.SIGINT, sweep.said
    cluster.offer(GPU)


def test_what_no_kind_of_machine_has_is_refused_at_the_start(cluster: Cluster, launch: Callable[..., Launch]) -> None:
    sweep = launch("--set", "compute.cpus_per_trial=64")
    assert sweep.process.wait(SECONDS) == 2
    assert "a trial takes 64 CPU cores and a node of the cluster has at most 8" in sweep.said
    assert not (sweep.folder / "results").exists()
