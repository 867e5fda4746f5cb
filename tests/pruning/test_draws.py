"""The global generators: only those of devices in use are read, and all are restored."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

import pruning
from pruning.draws import gpus_of, seed_draws, seeded_draws
from training import seeding

from .networks import batch, convolutional

GPU = torch.device("cuda:1")


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs, on which no context may be created."""

    def start(*_):
        raise AssertionError("CUDA was started")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("get_rng_state", "set_rng_state", "_lazy_init", "_lazy_call"):
        monkeypatch.setattr(torch.cuda, name, start)


@pytest.mark.usefixtures("two_gpus")
def test_scoring_on_a_cpu_starts_no_gpu():
    pruned = pruning.prune(convolutional(), "snip", 0.9, [batch()])
    pruning.diagnostics.diagnose(convolutional(), pruned.masks, [batch()])  # type: ignore[attr-defined]
    assert pruning.prune(convolutional(), "prospr", 0.9, [batch()]).masks


@pytest.mark.usefixtures("two_gpus")
def test_seeding_for_a_cpu_starts_no_gpu():
    with seeding.seeded(0, "dropout", 1, "cpu"):
        first = torch.rand(2)
    with seeding.seeded(0, "dropout", 1):
        assert torch.equal(first, torch.rand(2))
    seed_draws(3)


def test_the_gpus_of_a_network_are_those_that_hold_its_tensors():
    model = SimpleNamespace(
        parameters=lambda: [SimpleNamespace(device=GPU), SimpleNamespace(device=torch.device("cpu"))],
        buffers=lambda: [SimpleNamespace(device=torch.device("cuda:0")), SimpleNamespace(device=GPU)],
    )
    assert gpus_of(model) == [torch.device("cuda:0"), GPU]
    assert gpus_of(convolutional()) == gpus_of(convolutional().to("meta")) == []


def test_only_the_gpu_in_use_is_forked_and_seeded(monkeypatch):
    forked, seeded, current = [], [], []

    @contextlib.contextmanager
    def fork(devices):
        forked.append(list(devices))
        yield

    @contextlib.contextmanager
    def on(device):
        current.append(device)
        yield
        current.pop()

    monkeypatch.setattr(torch.random, "fork_rng", fork)
    monkeypatch.setattr(torch.cuda, "device", on)
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda number: seeded.append((number, current[-1])))
    with seeded_draws(7, [GPU]):
        assert (forked, seeded) == ([[GPU]], [(7, GPU)])
    with seeding.seeded(0, "dropout", 1, "cuda:1"):
        assert forked[1:] == [[GPU]]
        assert seeded[1:] == [(seeding.derive(0, "dropout", 1), GPU)]
