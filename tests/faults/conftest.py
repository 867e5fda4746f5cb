"""A small sweep in a folder of its own, launched as users do, to be disturbed in all ways."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sweep.store import Store

from ..once import value_made_once
from .warm import Child, Starter

Process = subprocess.Popen[bytes] | Child

NETWORK = """
import os, time
from pathlib import Path
from torch import nn

HOLD = Path(__file__).with_name("hold")  # while it is there, training hardly advances

class Slow(nn.Module):
    \"\"\"Takes its time in every forward pass, so that there is a middle to be killed in, without work for the processor.\"\"\"

    def __init__(self, classes, seconds, asleep):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1),
            nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(256, classes),
        )
        self.seconds, self.asleep = seconds, asleep

    def forward(self, x):
        seconds = 0.3 if HOLD.exists() else self.seconds * int(os.environ.get("SLOWER", 1))
        time.sleep(seconds if self.training else self.asleep)
        return self.layers(x)

def network(classes, seconds=0.01, asleep=0.0):
    return Slow(classes, seconds, asleep)
"""

CONFIG = """
name: faults
data: digits
grid:
  architecture: "slow:network"
  method: [dense, {name: force, rounds: 30}, {name: rigl, every: 5}]
  sparsity: [0.5, 0.9]
  seed: 0
pruning: {batch_size: 50}
training: {epochs: 3, batch_size: 100, learning_rate: 0.05}
compute: {max_failures: 3}
store: results
tracking: {enabled: false}
"""

# What says when, where and how a trial was run, and not what came out of it
CIRCUMSTANCES = {
    "sweep", "outcome", "written", "started", "seconds", "prune_seconds", "train_seconds", "images_per_second",
    "peak_memory_bytes", "device_memory_bytes", "mask_bytes", "attempts", "preemptions", "host", "device", "cluster", "git_commit",
    "git_dirty", "versions",
}  # fmt: skip
TIMES = {"images_per_second", "epoch_seconds"}


class Lab:
    """A folder with a config and a store, and the command line in it."""

    def __init__(self, folder: Path, starter: Starter):
        self.folder, self._starter = folder, starter
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "slow.py").write_text(NETWORK)
        (folder / "faults.yaml").write_text(CONFIG)
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        self.environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        self.children: list[Process] = []
        self._plan: list[dict[str, Any]] = []

    @property
    def store(self) -> Store:
        return Store(self.folder / "results")

    def start(self, *arguments: str) -> Process:
        """Start ``sweep ARGUMENTS`` in a process group of its own, its output in ``output.N``."""
        output = self.folder / f"output.{len(self.children)}"
        if arguments[0] == "launch" and "--local" not in arguments:  # Ray is to find things as it does with users
            self.children.append(self._start_cold(arguments, output))
        else:
            self.children.append(self._starter.start(list(arguments), self.folder, self.environment, output))
        return self.children[-1]

    def _start_cold(self, arguments: Sequence[str], output: Path) -> "subprocess.Popen[bytes]":
        command = [str(Path(sys.executable).with_name("sweep")), *arguments]
        with output.open("w") as file:
            return subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=file, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def said(self, child: Process) -> str:
        """What a child has printed so far."""
        return (self.folder / f"output.{self.children.index(child)}").read_text()

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run ``sweep ARGUMENTS`` to its end, which must have this exit code; what it printed."""
        child = self.start(*arguments)
        child.wait(timeout=900)
        assert child.returncode == code, self.said(child)
        return self.said(child)

    def plan(self) -> list[dict[str, Any]]:
        """The trials of the config, as ``sweep plan`` has them."""
        if not self._plan:
            self._plan = json.loads(self.run("plan", "faults.yaml", "--json"))["trials"]
        return self._plan

    def wait_for(self, what: Callable[[], Any], child: Process, seconds: float = 120) -> Any:
        """Wait until something is so, while a child runs."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert child.poll() is None, self.said(child)
            assert time.monotonic() < deadline, self.said(child)
            time.sleep(0.02)
        return found

    def files(self) -> dict[str, int]:
        """Records by name, with the time when they were written."""
        found = (self.folder / "results").rglob("*.parquet")
        return {str(path.relative_to(self.folder)): path.stat().st_mtime_ns for path in found}

    def end(self) -> None:
        for child in self.children:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def table(store: Store) -> dict[str, dict[str, Any]]:
    """All that came out of every trial: its record, epochs and masks, without circumstances."""
    found = {}
    for row in store.trials().to_pylist():
        name = row["trial_id"]
        epochs = [{k: v for k, v in e.items() if k not in TIMES} for e in store.epochs([name]).to_pylist()]
        masks = {mask["tensor"]: mask["hash"] for mask in store.masks([name], ["tensor", "hash"]).to_pylist()}
        config = json.loads(row["config"])
        kept = {key: value for key, value in row.items() if key not in CIRCUMSTANCES}
        found[name] = kept | {"config": config, "by_epoch": epochs, "masks": masks}
    return found


def descendants(pid: int) -> dict[int, str]:
    """Processes that a process has started, and theirs, with their command lines."""
    parents, commands = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has ended
                continue
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for child, parent in parents.items() if parent in new} - found
    return {each: commands[each] for each in found - {pid}}


def kill(*pids: int) -> None:
    """Kill -9, those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def starter() -> Iterator[Starter]:
    made = Starter()
    yield made
    made.end()


@pytest.fixture
def lab(tmp_path: Path, starter: Starter) -> Iterator[Lab]:
    made = Lab(tmp_path / "lab", starter)
    yield made
    made.end()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, starter: Starter) -> dict[str, dict[str, Any]]:
    """The table of the same sweep, left alone."""

    def run() -> dict[str, dict[str, Any]]:
        made = Lab(tmp_path_factory.mktemp("undisturbed") / "lab", starter)
        made.run("launch", "faults.yaml", "--local")
        return table(made.store)

    return value_made_once(tmp_path_factory, "undisturbed", run)
