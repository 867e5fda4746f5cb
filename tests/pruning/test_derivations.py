"""Scores against derivations that share no code with them: finite differences and explicit Hessians, in float64."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

import pruning
from pruning.masks import Masks
from pruning.problem import LOSSES, Batch, Problem

from .networks import batch, convolutional, perceptron, problem, residual, score

WIDTHS = st.lists(st.integers(2, 5), min_size=2, max_size=4)
SEEDS = st.integers(0, 10**6)
STEP = 1e-5


def smooth(widths: list[int], seed: int, loss: str = "cross_entropy") -> Problem:
    """A network of tanh units, so that finite differences are smooth, on two batches of unequal size."""
    model = perceptron(*widths, seed=seed, activation=nn.Tanh).double()
    batches = [(torch.randn(n, widths[0]).double(), torch.randint(0, widths[-1], (n,))) for n in (7, 4)]
    return problem(model, batches, LOSSES[loss])


def mean_loss(made: Problem, parameters: dict[str, Tensor], temperature: float = 1.0) -> Tensor:
    """The mean over batches of each one's loss, of the network's own forward pass."""
    losses = [
        made.loss(functional_call(made.model, parameters, (inputs,)) / temperature, labels)
        for inputs, labels in made.batches
    ]
    return torch.stack(losses).mean()


def differences(value: Callable[[dict[str, Tensor]], Tensor], at: dict[str, Tensor]) -> dict[str, Tensor]:
    """Central differences of ``value`` in every entry of every tensor."""
    slopes = {name: torch.zeros_like(tensor) for name, tensor in at.items()}
    for name, tensor in at.items():
        for i in range(tensor.numel()):
            moved = [tensor.clone() for _ in range(2)]
            moved[0].view(-1)[i] += STEP
            moved[1].view(-1)[i] -= STEP
            above, below = (value({**at, name: m}) for m in moved)
            slopes[name].view(-1)[i] = (above - below) / (2 * STEP)
    return slopes


def drawn_masks(made: Problem, density: float) -> Masks:
    return {name: torch.rand(weight.shape) < density for name, weight in made.dense.items()}


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["snip", "force", "iter_snip"]), WIDTHS, st.floats(0.2, 1), st.sampled_from(sorted(LOSSES)), SEEDS
)
def test_connection_sensitivity_is_the_finite_difference_of_the_loss_in_the_mask(method, widths, density, loss, seed):
    made = smooth(widths, seed, loss)
    masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in made.dense.items()}
    if method != "snip":  # the mask of an earlier round; FORCE scores what it has removed, too
        masks = drawn_masks(made, density)
        made.mask(masks)

    def loss_of(c: dict[str, Tensor]) -> Tensor:
        return mean_loss(made, {name: c[name] * weight for name, weight in made.dense.items()})

    slopes = differences(loss_of, {name: mask.double() for name, mask in masks.items()})
    for name, found in score(method, made).items():
        assert torch.allclose(found, slopes[name].abs(), rtol=1e-6, atol=1e-9)


def test_snip_is_the_finite_difference_of_the_loss_in_the_mask_of_a_convolutional_network():
    model = convolutional().double().eval()
    inputs, labels = batch()
    made = problem(model, [(inputs.double(), labels)], LOSSES["cross_entropy"])
    scores = score("snip", made)
    for name in made.dense:
        weight = model.get_parameter(name)
        largest = int(scores[name].argmax())  # where rounding matters least beside the difference
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(largest), weight.shape))
        losses, value = [], weight.data[index].item()
        for c in (1 + STEP, 1 - STEP):
            weight.data[index] = value * c
            losses.append(F.cross_entropy(model(inputs.double()), labels).item())
        weight.data[index] = value
        expected = abs(losses[0] - losses[1]) / (2 * STEP)
        assert scores[name][index].item() == pytest.approx(expected, rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(WIDTHS, st.floats(0.2, 1), SEEDS)
def test_iter_grasp_is_the_squared_finite_difference_of_the_pruned_networks_loss(widths, density, seed):
    made = smooth(widths, seed)
    made.mask(drawn_masks(made, density))
    at = {name: weight.detach() for name, weight in made.parameters.items()}
    slopes = differences(lambda parameters: mean_loss(made, parameters), at)
    for name, found in score("iter_grasp", made).items():
        assert torch.allclose(found, slopes[name].square(), rtol=1e-6, atol=1e-9)


def explicit_grasp(made: Problem, temperature: float) -> dict[str, Tensor]:
    """θ ⊙ (H g) with the full Hessian matrix of the mean loss in all prunable weights."""
    shapes = [weight.shape for weight in made.dense.values()]
    sizes = [weight.numel() for weight in made.dense.values()]
    theta = torch.cat([weight.flatten() for weight in made.dense.values()])

    def loss_of(flat: Tensor) -> Tensor:
        pieces = [piece.view(shape) for piece, shape in zip(flat.split(sizes), shapes, strict=True)]
        return mean_loss(made, dict(zip(made.dense, pieces, strict=True)), temperature)

    hessian = torch.autograd.functional.hessian(loss_of, theta)
    gradient = torch.autograd.functional.jacobian(loss_of, theta)
    flat = theta * (hessian @ gradient)
    return {name: piece.view(shape) for name, piece, shape in zip(made.dense, flat.split(sizes), shapes, strict=True)}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Equal up to rounding, beside the largest score of all: θ ⊙ Hg is a sum of terms that may cancel."""
    largest = max(float(tensor.abs().max()) for tensor in expected.values())
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, rtol=1e-9, atol=1e-12 * largest), name


@settings(max_examples=15, deadline=None)
@given(WIDTHS, st.sampled_from([1.0, 5.0, 200.0]), SEEDS)
def test_grasp_is_the_weight_times_the_explicit_hessian_times_the_gradient(widths, temperature, seed):
    made = smooth(widths, seed)
    assert_same(score("grasp", made, temperature=temperature), explicit_grasp(made, temperature))


@pytest.mark.parametrize("training", [True, False])
def test_grasp_is_the_explicit_product_through_batchnorm_and_shortcuts(training):
    model = residual(width=1).double().train(training)
    made = problem(model, [(x.double(), y) for x, y in (batch(0), batch(1, size=9))], LOSSES["cross_entropy"])
    assert_same(score("grasp", made), explicit_grasp(made, 200.0))


def test_removing_the_weight_that_grasp_scores_lowest_raises_the_gradient_norm_most_to_first_order():
    made = smooth([4, 5, 3], seed=3)
    made.batches = made.batches[:1]
    scores = score("grasp", made, temperature=1.0)

    def norm(factors: dict[str, Tensor]) -> Tensor:
        weights = {name: (factors[name] * w).requires_grad_() for name, w in made.dense.items()}
        slopes = torch.autograd.grad(mean_loss(made, weights), list(weights.values()))
        return torch.stack([g.square().sum() for g in slopes]).sum()

    slopes = differences(norm, {name: torch.ones_like(w) for name, w in made.dense.items()})
    for name, slope in slopes.items():  # d‖g‖²/dc_i at c = 1 is 2 θ_i (Hg)_i
        assert torch.allclose(scores[name], slope / 2, rtol=1e-6, atol=1e-9)


def test_every_batch_weighs_the_same_whatever_its_size():
    model = perceptron(3, 2, seed=1).double()
    small: Batch = (torch.randn(2, 3).double(), torch.tensor([0, 1]))
    large: Batch = (torch.randn(9, 3).double(), torch.randint(0, 2, (9,)))
    pairs = problem(model, [small, large], LOSSES["cross_entropy"])
    apart = [problem(model, [data], LOSSES["cross_entropy"]).gradients()["0.weight"] for data in (small, large)]
    expected = (pruning.prunable(model)["0.weight"] * (apart[0] + apart[1]) / 2).abs()
    assert torch.allclose(score("snip", pairs)["0.weight"], expected, rtol=1e-12)
