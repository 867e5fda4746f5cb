"""Scoring by replays, and selection that waits for no device, give what scoring and selecting eagerly gives.

On a CPU a replay is the function called again on the same buffers (:class:`pruning.graphs.EagerReplay`), to the bit.
"""

import gc
import random
import weakref

import numpy as np
import pytest
import torch
from torch import nn

import pruning
from pruning import graphs, passes

from .networks import Caching, batch, convolutional, problem, residual, sharing

ROUNDS = 14
ITERATED = ["force", "iter_snip", "iter_grasp", "synflow"]


@pytest.fixture
def replayed(monkeypatch):
    """Lets a CPU do what a GPU does; the captured passes."""
    made = []

    class Noted(passes.CapturedPass):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    def use():
        monkeypatch.setattr(graphs, "possible", lambda device: True)
        monkeypatch.setattr(passes, "CapturedPass", Noted)
        return made

    return use


def force(model, method="force", data=None, sparsity=0.9, rounds=ROUNDS, **options):
    data = (lambda step: [batch(step)]) if data is None else data
    options = {"rounds": rounds} | options if rounds else options
    generator = torch.Generator().manual_seed(5)
    return pruning.prune(model, method, sparsity, data, input_shape=(3, 8, 8), generator=generator, **options)


def assert_equal(one: pruning.Pruned, other: pruning.Pruned) -> None:
    assert all(one.masks[name].equal(mask) for name, mask in other.masks.items())
    assert (one.passes, one.work, one.unconserved) == (other.passes, other.work, other.unconserved)
    for ours, theirs in zip(one.rounds, other.rounds, strict=True):
        assert ours.force_objective == theirs.force_objective
        assert (ours.kept, ours.revived, ours.lost, ours.density) == (
            theirs.kept, theirs.revived, theirs.lost, theirs.density,
        )  # fmt: skip
        assert (ours.tied_kept, ours.tied_candidates) == (theirs.tied_kept, theirs.tied_candidates)


NETWORKS = {
    "dropout": convolutional,
    "residual": residual,
    "caching": Caching,
    **{kind: (lambda kind=kind: sharing(kind)) for kind in ("TwoNames", "Repeated", "Tied")},
}


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("method", ITERATED)
def test_replays_give_the_masks_and_rounds_of_eager_passes(method, network, replayed):
    torch.manual_seed(1)
    model = NETWORKS[network]()
    eager = force(model, method)
    made = replayed()
    assert_equal(force(model, method), eager)
    assert len(made) == 1


# not those that make their masks in or after training, and not NTK-SAP, which draws for each pass
OTHERS = [name for name in pruning.names() if name not in (*ITERATED, "dense", "ntk_sap")]


@pytest.mark.parametrize("method", [name for name in OTHERS if pruning.find(name).masking is None])
def test_every_other_method_runs_as_before(method, replayed):
    model, options = convolutional(), {"rounds": None}
    data = [batch(seed) for seed in range(4)]
    eager = force(model, method, data, 0.5, **options)
    made = replayed()
    assert_equal(force(model, method, data, 0.5, **options), eager)
    assert not made


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("loss", ["logit", "cross_entropy"])
def test_several_batches_of_two_shapes_a_round(loss, invert, replayed):
    def data(step):
        return [batch(3 * step, 16), batch(3 * step + 1, 16), batch(3 * step + 2, 9)]

    model = convolutional()
    eager = force(model, "force", data, loss=loss, invert=invert)
    made = replayed()
    assert_equal(force(model, "force", data, loss=loss, invert=invert), eager)
    assert len(made) == 2


def test_one_shot_methods_are_replayed_where_they_have_many_batches(replayed):
    data, model = [batch(seed) for seed in range(30)], convolutional()
    eager = force(model, "snip", data, rounds=None)
    made = replayed()
    assert_equal(force(model, "snip", data, rounds=None), eager)
    assert len(made) == 1


def test_few_rounds_are_not_worth_a_capture(replayed):
    made = replayed()
    force(convolutional(), "force", rounds=passes.WORTH)
    assert not made


def test_graphs_can_be_turned_off(replayed):
    made = replayed()
    assert force(convolutional(), graphs="off").not_captured is None
    assert not made
    with pytest.raises(ValueError, match="graphs: must be auto or off, not 'on'"):
        force(convolutional(), graphs="on")


def test_low_precision_is_replayed_too(replayed, monkeypatch):
    model = residual()
    monkeypatch.setattr("pruning.problem.LiveParts", lambda model: None)
    eager = force(model, precision="bf16")
    made = replayed()
    assert_equal(force(model, precision="bf16"), eager)
    assert len(made) == 1


class Drawing(nn.Module):
    """Adds noise from Python's generator."""

    def __init__(self):
        super().__init__()
        self.inner = convolutional()

    def forward(self, images):
        return self.inner(images + random.random())


def test_a_network_that_draws_on_the_host_is_scored_eagerly(replayed):
    model = Drawing()
    eager = force(model)
    made = replayed()
    pruned = force(model)
    assert_equal(pruned, eager)
    assert pruned.not_captured == "it draws from Python's random" and not made


class Noisy(nn.Module):
    """Adds noise from a generator of its own."""

    def __init__(self):
        super().__init__()
        self.inner, self.noise = convolutional(), np.random.default_rng(0)

    def forward(self, images):
        return self.inner(images + self.noise.normal())


def test_a_network_that_has_a_generator_of_its_own_is_scored_eagerly(replayed):
    eager = force(Noisy())
    made = replayed()
    pruned = force(Noisy())
    assert not made and "noise" in pruned.not_captured
    assert eager.masks.keys() == pruned.masks.keys()


def test_hooks_are_called_in_every_pass(replayed):
    model, calls = convolutional(), []
    model[0].register_forward_hook(lambda *arguments: calls.append(1))
    replayed()
    assert force(model).not_captured == "its modules have hooks, or a mode watches its operations"
    assert len(calls) == ROUNDS


def test_a_problem_goes_without_a_collection():
    gc.collect()
    gc.disable()
    try:
        made = problem(convolutional(), [batch()], torch.nn.functional.cross_entropy)
        made.gradients()
        gone = weakref.ref(made)
        del made
        assert gone() is None
    finally:
        gc.enable()


def test_after_pruning_nothing_holds_the_captured_pass_or_its_problem(replayed, monkeypatch):
    made = replayed()
    gc.collect()
    gc.disable()
    try:
        force(convolutional())
        replay = weakref.ref(made[0])
        made.clear()
        assert replay() is None
    finally:
        gc.enable()


def test_the_model_has_its_buffers_and_generators_back(replayed):
    model = convolutional()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    state = torch.get_rng_state()
    replayed()
    force(model)
    assert all(buffer.equal(before[name]) for name, buffer in model.named_buffers())
    assert torch.get_rng_state().equal(state)


# --- numbers that come a round later


def test_scores_that_are_not_finite_end_the_pruning_with_the_same_error(replayed):
    def data(step):
        images, labels = batch(step)
        return [(images * (float("inf") if step == 5 else 1), labels)]

    with pytest.raises(ValueError) as eager:  # noqa: PT011 (compared below)
        force(residual(), data=data)
    replayed()
    steps = []
    with pytest.raises(ValueError) as later:  # noqa: PT011
        force(residual(), data=data, on_round=steps.append)
    assert str(later.value) == str(eager.value) and "wanted: finite numbers" in str(later.value)
    assert steps[-1] <= 6


def test_scores_that_are_not_finite_in_the_last_round_give_no_masks(replayed):
    def data(step):
        images, labels = batch(step)
        return [(images * (float("inf") if step == ROUNDS else 1), labels)]

    replayed()
    with pytest.raises(ValueError, match="wanted: finite numbers"):
        force(residual(), data=data)


def test_what_on_round_raises_ends_the_pruning(replayed):
    def stop(step):
        if step == 7:
            raise KeyboardInterrupt

    replayed()
    with pytest.raises(KeyboardInterrupt):
        force(convolutional(), on_round=stop)


def test_kept_counts_are_exact_when_all_scores_tie(replayed):
    model = convolutional()
    for weight in pruning.prunable(model).values():
        weight.data.zero_()
    eager = force(model)
    replayed()
    assert_equal(force(model), eager)
    assert eager.tied_candidates
