"""The benchmark of several trainings on one GPU: its workers, its streams and its service, as far as a CPU can tell."""

import os
import stat
import sys
from pathlib import Path

import pytest
import torch

import pruning

sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are no part of the package
from benchmarks import gpu, mps, networks, packing
from benchmarks.measure import Setup

SMALL = packing.Subject("ResNet-20 compacted", "resnet20", images=16, batch=8, epochs=1, sparsity=0.995, target=1.8)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in on the PATH that notes how it is called."""
    program, calls = tmp_path / mps.DAEMON, tmp_path / "calls"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = -d ]; then echo started >> {calls}; echo hello > "$CUDA_MPS_LOG_DIRECTORY/control.log"\n'
        f"else cat >> {calls}; fi\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return calls


def test_the_service_is_started_in_a_folder_of_its_own_and_stopped(daemon: Path) -> None:
    with mps.service() as environment:
        folder = Path(environment["CUDA_MPS_PIPE_DIRECTORY"])
        assert folder.is_dir() and daemon.read_text() == "started\n"
        assert mps.log_tail(environment) == "control.log: hello"
    assert daemon.read_text().splitlines() == ["started", "quit -t 5"]
    assert not folder.exists()


def test_a_machine_without_the_daemon_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(mps.Unavailable, match="nvidia-cuda-mps-control is not on the PATH"), mps.service():
        pass


def test_a_daemon_that_does_not_start_is_quoted(daemon: Path) -> None:
    program = daemon.with_name(mps.DAEMON)
    program.write_text("#!/bin/sh\necho no such device; exit 3\n")
    with pytest.raises(mps.Unavailable, match="exit status 3: no such device"), mps.service():
        pass


@pytest.mark.slow
def test_trainings_are_packed_in_every_way(daemon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "AT_ONCE", 2)
    masks = pruning.prune(networks.build("resnet20", "cpu"), "random", 0.995).masks
    monkeypatch.setattr(networks, "force_masks", lambda *_: masks)
    rows = list(packing.rows(Setup(), (SMALL,)))
    ways = ["streams, one thread", "streams, a thread each", "processes,", "processes under MPS"]
    assert len(rows) == 5
    assert all(way in row.name and row.value > 0 for way, row in zip(ways, rows, strict=False))
    assert rows[-1].target == "≥ 1.8" and rows[-1].value == max(row.value for row in rows)


@pytest.mark.slow
def test_a_worker_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "AT_ONCE", 2)
    gone = packing.Subject("missing", "no_such_network")
    with pytest.raises(packing.WorkerFailed, match="no_such_network"):
        list(packing.processes((gone,), "cpu", tmp_path, {}))


def test_the_bare_step_trains_under_its_masks() -> None:
    model = networks.build("resnet20", "cpu")
    masks = gpu.random_masks(model)
    step = gpu.bare(model, "cpu", 16, masks, 8).capture()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    step.run(2)
    assert torch.isfinite(step.loss) and step.loss > 0
    assert all((model.get_parameter(name)[~mask] == 0).all() for name, mask in masks.items())
    assert all((model.get_parameter(name) != before[name])[mask].any() for name, mask in masks.items() if mask.any())
