"""NTK-SAP by hand, and against finite differences in the mask of networks run as plain modules."""

import copy

import pytest
import torch
from torch import nn

import pruning
from pruning.methods.ntk_sap import ntk_sap
from pruning.problem import Problem

from .networks import convolutional, linear

EPSILON = 0.01


def problem(model, shape, seed=0) -> Problem:
    return Problem(model, nn.functional.cross_entropy, torch.Generator().manual_seed(seed), shape)


def drawn(made: Problem, inputs: int, draws: int = 1, fresh: bool = True, seed: int = 0):
    """(z, W, W+Δ) of every draw, in the order in which the method takes them from its generator."""
    generator = torch.Generator().manual_seed(seed)
    dtype = next(iter(made.dense.values())).dtype

    def normal(shape):
        return torch.randn(shape, generator=generator, dtype=dtype)

    for _ in range(draws):
        noise = normal((inputs, *made.input_shape))
        own = made.dense
        weights = {n: w.square().mean().sqrt() * normal(w.shape) for n, w in own.items()} if fresh else own
        yield noise, weights, {n: w + EPSILON * normal(w.shape) for n, w in weights.items()}


def test_one_linear_layer_by_hand():
    # f(z; W⊙c) − f(z; (W+Δ)⊙c) = −Σ_j Δ_j c_j z_j, so s_i = |Σ_b 2 (Σ_j Δ_j z_bj) Δ_i z_bi|: no W in it
    made = problem(linear([1.0, -2.0, 3.0]), (3,))
    ((noise, weights, shaken),) = drawn(made, inputs=4)
    delta = (shaken["0.weight"] - weights["0.weight"])[0]
    expected = (2 * (noise @ delta)[:, None] * delta * noise).sum(0).abs()
    torch.testing.assert_close(ntk_sap(made, inputs=4)["0.weight"][0], expected, rtol=1e-3, atol=0)


def test_both_terms_are_differentiated():
    # f = w3 w2 w1 z: the squared distance J is quadratic in every entry of the mask, so ∂J/∂c_i = 2J for each of the
    # three. With one of the two terms held constant it would not be, nor be the same for all.
    chain = nn.Sequential(*[nn.Linear(1, 1, bias=False) for _ in range(3)]).double()
    made = problem(chain, (1,))
    ((noise, weights, shaken),) = drawn(made, inputs=5)
    first, second = (torch.stack([v.squeeze() for v in values.values()]).prod() for values in (weights, shaken))
    twice = 2 * float((noise * (first - second)).square().sum())
    assert [float(s) for s in ntk_sap(made, inputs=5).values()] == pytest.approx([twice] * 3, rel=1e-9)


def outputs(model, noise, weights, mask):
    """The network, as a module of its own, at weights⊙mask."""
    for name, weight in weights.items():
        model.get_parameter(name).data = weight * mask[name]
    return model(noise)


def distance(model, noise, weights, shaken, mask) -> float:
    with torch.no_grad():
        moved = outputs(model, noise, weights, mask) - outputs(model, noise, shaken, mask)
    return float(moved.square().sum())


def with_statistics_of(model, noise, weights, mask):
    """A copy in eval mode, whose BatchNorm has the statistics of the noise at weights⊙mask."""
    model = copy.deepcopy(model)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # a cumulative average
            layer.reset_running_stats()
        layer.train(isinstance(layer, nn.BatchNorm2d))  # dropout stays off
    with torch.no_grad():
        outputs(model, noise, weights, mask)
    return model.eval()


@pytest.mark.parametrize("fresh", [True, False])
def test_the_score_is_the_finite_difference_in_the_mask(fresh):
    model = convolutional().double()
    for layer in (model[1], model[5]):
        layer.running_mean.fill_(3.0)  # what they have seen before does not matter
        layer.weight.data.uniform_(0.5, 2.0)
    made = problem(model, (3, 8, 8))
    generator = torch.Generator().manual_seed(5)
    made.mask({name: torch.rand(w.shape, generator=generator) < 0.7 for name, w in made.dense.items()})
    scores = ntk_sap(made, inputs=6, draws=2, fresh_weights=fresh)
    mask = {name: kept.double() for name, kept in made.masks.items()}
    runs = [
        (with_statistics_of(model, noise, weights, mask), noise, weights, shaken)
        for noise, weights, shaken in drawn(made, inputs=6, draws=2, fresh=fresh)
    ]
    for name, score in scores.items():
        for flat in (int((score * mask[name]).argmax()), int((score * (1 - mask[name])).argmax())):
            sums, value, step = [], mask[name].view(-1)[flat].item(), 1e-4
            for moved in (value + step, value - step):
                mask[name].view(-1)[flat] = moved
                sums.append(sum(distance(*run, mask) for run in runs))
            mask[name].view(-1)[flat] = value
            expected = abs(sums[0] - sums[1]) / (2 * step)
            assert score.view(-1)[flat].item() == pytest.approx(expected, rel=1e-5), (name, flat)


def test_gradients_of_all_draws_are_added_before_the_absolute_value():
    made = problem(linear([1.0, -2.0, 3.0]), (3,))
    signed = torch.zeros(3)
    for noise, weights, shaken in drawn(made, inputs=4, draws=3):
        delta = (shaken["0.weight"] - weights["0.weight"])[0]
        signed += (2 * (noise @ delta)[:, None] * delta * noise).sum(0)
    found = ntk_sap(problem(linear([1.0, -2.0, 3.0]), (3,)), inputs=4, draws=3)["0.weight"][0]
    torch.testing.assert_close(found, signed.abs(), rtol=1e-3, atol=1e-7)


def test_fresh_weights_make_the_mask_independent_of_the_networks_own_but_for_their_scale():
    model, other = convolutional(seed=0), convolutional(seed=0)
    for weight in pruning.prunable(other).values():
        weight.data = weight.data.flatten()[torch.randperm(weight.numel())].view_as(weight)
    fresh, own = (
        [
            pruning.prune(net, "ntk_sap", 0.8, input_shape=(3, 8, 8), rounds=2, inputs=8, fresh_weights=fresh).masks
            for net in (model, other)
        ]
        for fresh in (True, False)
    )
    assert all(torch.equal(mask, fresh[1][name]) for name, mask in fresh[0].items())
    assert not all(torch.equal(mask, own[1][name]) for name, mask in own[0].items())


def test_removed_weights_are_not_regrown():
    pruned = pruning.prune(convolutional(), "ntk_sap", 0.95, input_shape=(3, 8, 8), rounds=5, inputs=4)
    assert [r.revived for r in pruned.rounds] == [0] * 5
    assert [r.kept for r in pruned.rounds] == sorted((r.kept for r in pruned.rounds), reverse=True)


def test_a_draw_costs_two_passes_forward_and_two_back_and_another_forward_where_there_is_batchnorm():
    plain = pruning.prune(linear([1.0, -2.0, 3.0]), "ntk_sap", 0.5, input_shape=(3,), rounds=3, inputs=7, draws=2)
    assert (plain.passes, plain.work) == (3 * 2 * 4, 3 * 2 * 7 * (2 + 2 * 2))
    normed = pruning.prune(convolutional(), "ntk_sap", 0.5, input_shape=(3, 8, 8), rounds=3, inputs=7, draws=2)
    assert (normed.passes, normed.work) == (3 * 2 * 5, 3 * 2 * 7 * (3 + 2 * 2))


def test_the_layers_that_keep_statistics_get_their_momentum_back():
    model = convolutional()
    model[1].momentum, model[5].momentum = 0.3, None
    pruning.prune(model, "ntk_sap", 0.5, input_shape=(3, 8, 8), rounds=2, inputs=4)
    assert (model[1].momentum, model[5].momentum) == (0.3, None)


@pytest.mark.parametrize("wrong", [{"inputs": 0}, {"draws": 0}, {"epsilon": 0.0}])
def test_options_that_would_score_nothing_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: must be"):
        pruning.find("ntk_sap").resolve(wrong)
