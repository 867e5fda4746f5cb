"""Captured functions: what a replay is, and which functions a replay would not do justice to."""

import itertools
import random

import numpy as np
import pytest
import torch
from torch import nn

from pruning.capturable import why_not_capturable
from pruning.graphs import EagerReplay, NotCapturable, capture, generators_kept

CPU = torch.device("cpu")


def on_devices():
    return pytest.mark.parametrize("device", [CPU, pytest.param(torch.device("cuda"), marks=pytest.mark.cuda)], ids=str)


@on_devices()
def test_a_replay_reads_its_inputs_anew_and_writes_into_the_same_outputs(device):
    inputs = torch.arange(3.0, device=device)
    replay = capture(lambda: [inputs * 2, inputs.sum()], device)
    first = replay.replay()
    inputs.fill_(5)
    second = replay.replay()
    assert all(a is b for a, b in zip(first, second, strict=True))
    assert second[0].tolist() == [10, 10, 10] and float(second[1]) == 15


@on_devices()
def test_what_a_captured_function_reads_stays_as_long_as_its_replay(device):
    def captured():
        inputs = torch.full((1000,), 7.0, device=device)
        return capture(lambda: [inputs * 2], device)

    replay = captured()
    others = [torch.zeros(1000, device=device) for _ in range(50)]  # would take the place of the inputs
    assert replay.replay()[0].eq(14).all() and len(others) == 50


@on_devices()
def test_a_captured_gradient_is_that_of_the_values_at_the_replay(device):
    weight, inputs = torch.ones(3, device=device, requires_grad=True), torch.arange(3.0, device=device)

    def run():
        return torch.autograd.grad((weight * inputs).square().sum(), [weight])

    replay = capture(run, device)
    with torch.no_grad():
        weight.fill_(2)
    assert replay.replay()[0].tolist() == [0, 4, 16]


@on_devices()
def test_capturing_and_asking_why_not_leave_the_generators_as_they_were(device):
    layer, inputs = nn.Dropout(0.5), torch.ones(64, device=device)
    torch.manual_seed(3)
    random.seed(3)
    expected = layer(inputs)
    torch.manual_seed(3)
    assert why_not_capturable(lambda: [layer(inputs)], device) is None
    replay = capture(lambda: [layer(inputs)], device)
    assert layer(inputs).equal(expected)
    torch.manual_seed(3)
    assert replay.replay()[0].equal(expected)


def test_the_generators_are_put_back_when_a_function_fails():
    before = torch.get_rng_state(), random.getstate()

    def draw_and_fail():
        torch.rand(3), random.random()
        raise KeyError

    with pytest.raises(KeyError), generators_kept():
        draw_and_fail()
    assert torch.get_rng_state().equal(before[0]) and random.getstate() == before[1]


class Counting(nn.Module):
    """Does what it is told in each pass."""

    in_class = 0

    def __init__(self, effect):
        super().__init__()
        self.effect, self.inner = effect, nn.Linear(2, 2)
        self.calls, self.history, self.last, self.table = 0, [], None, None
        self.by_name = {"calls": 0}

    def forward(self, x):
        self.effect(self)
        return self.inner(x)

    def helper(self):
        called[0] += 1


class Schedule:
    """An object of one's own that counts."""

    def __init__(self):
        self.calls, self.bits = 0, np.zeros(1)


calls_of_the_file, called = [0], [0]
schedule, counts, own_random, own_numpy, own_torch = (
    Schedule(), itertools.count(), random.Random(0), np.random.default_rng(0), torch.Generator(),
)  # fmt: skip


def count_in_the_file(module):
    calls_of_the_file[0] += 1


def count_in_a_default(module, calls=[0]):  # noqa: B006
    calls[0] += 1


def counting_around():
    calls = 0

    def count(module):
        nonlocal calls
        calls += 1

    return count


CHANGES = {
    "calls_of_the_file": count_in_the_file,
    "effect.defaults": count_in_a_default,
    "in_class": lambda m: setattr(type(m), "in_class", type(m).in_class + 1),
    "called": lambda m: m.helper(),
    "effect.calls": counting_around(),
    "schedule.calls": lambda m: setattr(schedule, "calls", schedule.calls + 1),
    "schedule.bits": lambda m: schedule.bits.__iadd__(1),
    "effect.counts": lambda m: next(counts),
    "effect.own_random": lambda m: own_random.random(),
    "effect.own_numpy": lambda m: own_numpy.random(),
    "effect.own_torch": lambda m: torch.rand(1, generator=own_torch),
    "calls": lambda m: setattr(m, "calls", m.calls + 1),
    "history.": lambda m: m.history.append(0),
    "by_name.calls": lambda m: m.by_name.update(calls=m.by_name["calls"] + 1),
    "last": lambda m: setattr(m, "last", torch.zeros(1)),
    "Python's random": lambda m: random.random(),
    "numpy.random": lambda m: np.random.rand(),
}


@on_devices()
@pytest.mark.parametrize("change", CHANGES)
def test_a_pass_that_changes_what_a_replay_cannot_is_not_captured(change, device):
    model = Counting(CHANGES[change]).to(device)
    inputs = torch.ones(1, 2, device=device)
    assert change in (why_not_capturable(lambda: [model(inputs)], device, model) or "")


@on_devices()
def test_what_the_first_pass_alone_does_is_no_reason(device):
    def once(module):
        module.table = torch.zeros(2) if module.table is None else module.table

    model = nn.Sequential(Counting(once), nn.BatchNorm1d(2), nn.Dropout()).to(device)
    inputs = torch.ones(4, 2, device=device)
    assert why_not_capturable(lambda: [model(inputs)], device, model) is None


def test_an_error_of_the_function_itself_is_raised_as_it_is():
    def run():
        raise RuntimeError("its own")

    with pytest.raises(RuntimeError, match="its own"):
        why_not_capturable(run, CPU)


def test_on_a_cpu_a_replay_calls_the_function_again():
    calls = []
    replay = capture(lambda: calls.append(1) or [torch.zeros(1)], CPU)
    assert isinstance(replay, EagerReplay)
    replay.replay()
    assert len(calls) == 2


# --- on a GPU alone


@pytest.mark.cuda
@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: bool((x > 0).all()),
        lambda x: torch.tensor([1.0, 2.0], device=x.device),
        lambda x: x.cpu(),
    ],
    ids=["item", "mask", "if", "copy to the GPU", "copy from the GPU"],
)
def test_a_function_that_waits_for_the_gpu_is_told_by_its_line(wait):
    inputs = torch.ones(3, device="cuda")

    def run():
        wait(inputs)
        return [inputs * 2]

    assert "it waits for the GPU (test_graphs.py, line" in (why_not_capturable(run, torch.device("cuda")) or "")
    assert torch.cuda.get_sync_debug_mode() == 0


@pytest.mark.cuda
def test_after_a_capture_that_failed_the_gpu_draws_and_captures_as_before():
    device, layer = torch.device("cuda"), nn.Dropout(0.5)
    inputs = torch.ones(64, device=device)
    torch.manual_seed(3)
    expected = layer(inputs)

    def run():
        found = layer(inputs)
        torch.cuda.synchronize()  # no reason to PyTorch's debug mode
        return [found]

    with pytest.raises(NotCapturable, match="capturing failed: "):
        capture(run, device)
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    torch.manual_seed(3)
    assert layer(inputs).equal(expected)
    replay = capture(lambda: [layer(inputs)], device)
    torch.manual_seed(3)
    assert replay.replay()[0].equal(expected)
