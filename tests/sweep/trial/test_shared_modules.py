"""Trials of networks with modules under several names, and of such as keep locks and tensors on themselves."""

import dataclasses
import sys

import pytest
import torch
from torch import nn

from sweep.trial.run import run_trial
from training import data
from training.config import TrainConfig
from training.optimizer import OPTIMIZERS, make_optimizer

from ..small import Memory, Stop, differences, the_trial, with_compute

pytestmark = pytest.mark.slow  # launches, trainings or processes

NETWORKS = """
import threading
import torch
from torch import nn

class TwoNames(nn.Module):
    def __init__(self, classes, width=8):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.body = nn.Sequential(self.first, self.norm, nn.ReLU(), nn.Conv2d(width, width, 3, bias=False), nn.ReLU())
        self.classifier = nn.Linear(width, classes)

    def forward(self, x):
        return self.classifier(self.body(x).mean((2, 3)))

class Repeated(nn.Module):
    def __init__(self, classes, width=8):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        block = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks, self.classifier = nn.ModuleList([block] * 3), nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean((2, 3)))

class Keeping(TwoNames):
    def __init__(self, classes, width=8):
        super().__init__(classes, width)
        self.lock, self.seen = threading.Lock(), []
        self.register_buffer("last", None)

    def forward(self, x):
        with self.lock:
            self.features = self.body(x)
            self.seen = self.seen[-2:] + [self.features]
            self.last = self.features.detach()
        return self.classifier(self.features.mean((2, 3)))
"""


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """The module of these networks."""
    (tmp_path / "shared_networks.py").write_text(NETWORKS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    sys.modules.pop("shared_networks", None)
    yield
    sys.modules.pop("shared_networks", None)


@pytest.fixture(scope="module")
def digits():
    return data.load(the_trial("grid.method=snip").data)


def trial(network: str, *settings: str):
    return the_trial(
        f"grid.architecture=shared_networks:{network}", "grid.sparsity=0.9", "training.epochs=2", *settings
    )


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(
    ("network", "settings"),
    [
        ("TwoNames", ["grid.method={name: force, rounds: 2}"]),
        ("TwoNames", ["grid.method={name: synflow, rounds: 3}", "training.optimizer=adam"]),
        ("TwoNames", ["grid.method={name: imp, rounds: 1}"]),
        ("TwoNames", ["grid.method=snip", "grid.ablation=reinitialize"]),
        ("Repeated", ["grid.method={name: ntk_sap, rounds: 2}"]),
        ("Repeated", ["grid.method=rigl"]),
        ("Repeated", ["grid.method=phew", "pruning.precision=bf16"]),
        ("Keeping", ["grid.method=prospr"]),
        ("Keeping", ["grid.method=set"]),
        ("Keeping", ["grid.method={name: imp, rounds: 1}"]),
    ],
)
def test_a_sweep_over_networks_that_share_modules_or_keep_tensors_completes(digits, network, settings):
    outcome = run_trial(trial(network, *settings), digits)
    record = outcome.trial
    assert (record.status, record.error_message) == ("completed", None)
    assert (
        record.kept == record.prunable - round(0.9 * record.prunable) == sum(mask.start_kept for mask in outcome.masks)
    )
    assert record.prunable == {"TwoNames": 72 + 576 + 80, "Keeping": 728, "Repeated": 72 + 576 + 80}[network]
    assert record.initial_weights_hash != record.final_weights_hash
    assert (record.trained_whole is None) == (record.trained_weights < record.prunable)


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("network", ["TwoNames", "Repeated", "Keeping"])
def test_a_stopped_trial_of_such_a_network_ends_as_if_it_had_not_been_stopped(digits, network):
    chosen = trial(network, "grid.method=magnitude", "grid.sparsity=0.98")
    alone, place = run_trial(chosen, digits), Memory()
    assert alone.trial.status == "completed"
    assert run_trial(chosen, digits, checkpoints=place, stopping=Stop(4)).trial.status == "interrupted"
    assert not differences(alone, run_trial(chosen, digits, checkpoints=place))


@pytest.mark.usefixtures("networks")
def test_a_lottery_ticket_stopped_in_its_second_training_ends_as_if_it_had_not_been_stopped(digits):
    chosen = trial("Keeping", "grid.method={name: imp, rounds: 1}")
    alone, place = run_trial(chosen, digits), Memory()
    assert run_trial(chosen, digits, checkpoints=place, stopping=Stop(11)).trial.epochs == 2  # of the first training
    assert not differences(alone, run_trial(chosen, digits, checkpoints=place))


@pytest.mark.usefixtures("networks")
def test_the_record_says_why_the_whole_network_was_trained(digits, monkeypatch):
    def reason(*settings, network="TwoNames", **options):
        wide = f"grid.architecture={{name: shared_networks:{network}, width: 32}}"
        return run_trial(the_trial(wide, "training.epochs=0", *settings), digits, **options).trial.trained_whole

    snip, synflow = "grid.method=snip", "grid.method={name: synflow, rounds: 2}"
    assert reason(snip, "grid.sparsity=0.99") is None
    assert "cannot be copied" in reason(snip, "grid.sparsity=0.99", network="Keeping")
    assert reason(snip, settings=with_compute(compact=False)) == "compaction is off (compute.compact)"
    assert reason("grid.method=rigl", "training.epochs=1") == "the mask changes during or after training"
    assert reason(synflow, "grid.sparsity=0.1") == "every channel may carry something"
    monkeypatch.setitem(OPTIMIZERS, "sgd", dataclasses.replace(OPTIMIZERS["sgd"], elementwise=False))
    assert reason(snip, "grid.sparsity=0.99") == "the optimizer sgd is not elementwise"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_elementwise_if_part_of_a_tensor_is_trained_as_in_the_whole(name):
    torch.manual_seed(0)
    whole = nn.ParameterList([torch.randn(4, 6), torch.randn(5)])
    part = nn.ParameterList([whole[0][:2, :3].detach().clone()])
    config = TrainConfig(optimizer=name, learning_rate=0.1)
    optimizers = [make_optimizer(model, config) for model in (whole, part)]
    for _ in range(4):
        whole[0].grad, whole[1].grad = torch.randn(4, 6), 100 * torch.randn(5)
        part[0].grad = whole[0].grad[:2, :3].clone()
        for optimizer in optimizers:
            optimizer.step()
    same = torch.allclose(whole[0][:2, :3], part[0], rtol=1e-6)
    assert same == OPTIMIZERS[name].elementwise


@pytest.mark.usefixtures("networks")
def test_a_trial_on_a_cpu_starts_no_gpu_of_the_machine(digits, monkeypatch):
    def start(*_):
        raise AssertionError("CUDA was started")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("get_rng_state", "set_rng_state", "_lazy_init", "_lazy_call"):
        monkeypatch.setattr(torch.cuda, name, start)
    record = run_trial(trial("TwoNames", "grid.method=snip", "training.epochs=1"), digits).trial
    assert (record.status, record.error_message) == ("completed", None)
