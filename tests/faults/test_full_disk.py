"""A store on a disk that is full: a small tmpfs, which takes root or a namespace of one's own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Lab, table

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(lab: Lab) -> Iterator[Path]:
    """The store's folder, on a disk of a megabyte."""
    folder = lab.folder / "results"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs takes root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> None:
    """Leave no room on a disk."""
    try:
        with open(folder / "filler", "wb", buffering=0) as file:
            while True:
                file.write(os.urandom(4096))
    except OSError:
        pass


@pytest.mark.parametrize("engine", [["--local"], ["--local", "--jobs", "2"], []], ids=["here", "pool", "ray"])
def test_a_disk_that_is_full_at_a_checkpoint_ends_the_sweep_clearly_and_loses_no_record(
    lab: Lab, undisturbed, disk: Path, engine: list[str]
) -> None:
    launch = lab.start("launch", "faults.yaml", *engine)
    lab.wait_for(lambda: len(lab.store.completed()) >= 2 and lab.store.checkpoints(), launch)
    fill(disk)
    before = lab.store.outcomes()
    assert launch.wait(timeout=120) == 1, lab.said(launch)
    said = lab.said(launch)
    assert "error: store: cannot write" in said and "No space left on device" in said and "Traceback" not in said
    assert "launching again goes on" in said
    assert before.items() <= lab.store.outcomes().items()
    lab.run("verify", "results")
    (disk / "filler").unlink()
    lab.run("launch", "faults.yaml", "--local")  # whatever the engine was, it goes on from the store
    assert before.items() <= lab.store.outcomes().items()
    assert table(lab.store) == undisturbed


def test_a_disk_that_is_full_at_the_final_write_loses_no_record(lab: Lab, disk: Path) -> None:
    few = ["training.epochs=1", "grid.method=[dense,random]", "grid.sparsity=0.5"]
    settings = [
        part for each in ("grid.architecture={name: slow:network, asleep: 0.4}", *few) for part in ("--set", each)
    ]
    lab.run("launch", "faults.yaml", "--local", *settings, "--set", "grid.method=dense")
    before = table(lab.store)
    launch = lab.start("launch", "faults.yaml", "--local", *settings)
    [name] = lab.wait_for(lab.store.checkpoints, launch)  # training is over, and the test takes seconds
    fill(disk)
    assert launch.wait(timeout=120) == 1, lab.said(launch)
    assert f"cannot write masks/{name}" in lab.said(launch) and "No space left on device" in lab.said(launch)
    assert table(lab.store) == before
    assert lab.store.checkpoints() == {name}
    (disk / "filler").unlink()
    lab.run("launch", "faults.yaml", "--local", *settings)
    assert before.items() <= table(lab.store).items()
    assert lab.store.trial(name).attempts == 2  # it had been trained already
    lab.run("verify", "results")
