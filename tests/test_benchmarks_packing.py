"""The benchmark of several trainings on one GPU: its workers and its streams, as far as a CPU can tell."""

import os
import sys
from pathlib import Path

import pytest
import torch

import pruning

sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are no part of the package
from benchmarks import gpu, networks, packing
from benchmarks.measure import Setup
from sweep.engines import mps

SMALL = packing.Subject("ResNet-20 compacted", "resnet20", images=16, batch=8, epochs=1, sparsity=0.995, target=1.8)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in on the PATH that does nothing."""
    (tmp_path / mps.DAEMON).write_text("#!/bin/sh\n")
    (tmp_path / mps.DAEMON).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("daemon")
@pytest.mark.slow
def test_trainings_are_packed_in_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "AT_ONCE", 2)
    masks = pruning.prune(networks.build("resnet20", "cpu"), "random", 0.995).masks
    monkeypatch.setattr(networks, "force_masks", lambda *_: masks)
    rows = list(packing.rows(Setup(), (SMALL,)))
    ways = ["processes,", "processes under MPS", "streams, one thread", "streams, a thread each"]
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
