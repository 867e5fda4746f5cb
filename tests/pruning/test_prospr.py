"""ProsPr by hand, and against finite differences of the full inner training in the mask."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import pruning
from pruning.methods.prospr import prospr
from pruning.modes import scoring_mode
from pruning.problem import Problem

from .networks import batch, convolutional, linear


def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """½ mean‖y − t‖²."""
    return 0.5 * (outputs - targets).square().sum(1).mean()


def problem(model, batches, loss=F.cross_entropy) -> Problem:
    made = Problem(model, loss, torch.Generator().manual_seed(0), None)
    made.batches = batches
    return made


def number(x: float, y: float):
    """A batch of one number and its target."""
    return torch.tensor([[x]]), torch.tensor([[y]])


def test_two_steps_on_one_weight_by_hand():
    # y = θx, t = 0: L = ½ x²θ², ∇L = x²θ, H = x². θ = 2, η = 0.1; x² = 1, 4, 9 in turn.
    # θ₁ = 2(1 − 0.1) = 1.8, θ₂ = 1.8(1 − 0.4) = 1.08, ∇L₂ = 9.72; s = 2·9.72·(1 − 0.4)(1 − 0.1) = 10.4976
    batches = [number(1.0, 0.0), number(2.0, 0.0), number(3.0, 0.0)]
    full = prospr(problem(linear([2.0]), batches, squared), steps=2)
    assert full["0.weight"].item() == pytest.approx(10.4976, rel=1e-6)
    first_order = prospr(problem(linear([2.0]), batches, squared), steps=2, first_order=True)
    assert first_order["0.weight"].item() == pytest.approx(2 * 9.72, rel=1e-6)


def test_momentum_by_hand():
    # The same with μ = ½: v₁ = θ, θ₁ = 0.9θ; v₂ = ½θ + 4·0.9θ = 4.1θ, θ₂ = 0.9θ − 0.41θ = 0.49θ;
    # L₂ = ½·9·(0.49θ)², so s = |θ·dL₂/dθ| = 9·0.49²·θ² = 8.6436
    batches = [number(1.0, 0.0), number(2.0, 0.0), number(3.0, 0.0)]
    scores = prospr(problem(linear([2.0]), batches, squared), steps=2, momentum=0.5)
    assert scores["0.weight"].item() == pytest.approx(8.6436, rel=1e-6)


def test_without_a_step_it_is_snip():
    made = problem(convolutional(), [batch()])
    snip = pruning.find("snip").score(problem(convolutional(), [batch()]))
    assert all(torch.allclose(score, snip[name]) for name, score in prospr(made, steps=0).items())


def test_the_mask_touches_the_initial_weights_alone():
    # One step on y = θ, t = 1, from θ = 0: θ₁ = 0.1, ∇L₁ = −0.9. The step takes the weight away from zero, but s =
    # |θ·λ| = 0. With the step masked too, θ₁ = c(cθ − ηv₁), s would be |∇L₁·θ₁| = 0.09.
    batches = [number(1.0, 1.0), number(1.0, 1.0)]
    assert prospr(problem(linear([0.0]), batches, squared), steps=1)["0.weight"].item() == 0.0


def trained_loss(model, batches, steps, momentum, mask) -> float:
    """The loss on the last batch after SGD by torch's optimizer, from θ⊙mask."""
    model = copy.deepcopy(model)
    for name, c in mask.items():
        model.get_parameter(name).data *= c
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
    for inputs, labels in batches[:steps]:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    inputs, labels = batches[steps]
    return F.cross_entropy(model(inputs), labels).item()


def smooth() -> nn.Sequential:
    """BatchNorm, biases and a classifier, smooth, so that finite differences are exact enough."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(256, 4)
    ).double()  # fmt: skip


def data(count: int):
    return [(inputs.double(), labels) for inputs, labels in (batch(seed) for seed in range(count))]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_score_is_the_finite_difference_of_the_whole_training_in_the_mask(steps, momentum, train):
    model, batches = smooth().train(train), data(steps + 1)
    made = problem(model, batches)
    with scoring_mode(model, train):
        scores = prospr(made, steps=steps, momentum=momentum)
    mask = {name: torch.ones_like(weight) for name, weight in made.dense.items()}
    for name, score in scores.items():
        for flat in score.flatten().topk(3).indices.tolist():
            losses, eps = [], 1e-4
            for c in (1 + eps, 1 - eps):
                mask[name].view(-1)[flat] = c
                losses.append(trained_loss(model, batches, steps, momentum, mask))
            mask[name].view(-1)[flat] = 1.0
            expected = abs(losses[0] - losses[1]) / (2 * eps)
            assert score.flatten()[flat].item() == pytest.approx(expected, rel=1e-5), (name, flat)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_first_order_is_the_initial_weight_times_the_gradient_after_training(momentum):
    model, batches = smooth(), data(4)
    scores = prospr(problem(model, batches), steps=3, momentum=momentum, first_order=True)
    trained = copy.deepcopy(model)
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1, momentum=momentum)
    for inputs, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(trained(inputs), labels).backward()
        if inputs is not batches[-1][0]:
            optimizer.step()
    for name, score in scores.items():
        expected = (model.get_parameter(name) * trained.get_parameter(name).grad).abs()
        torch.testing.assert_close(score, expected.detach(), rtol=1e-9, atol=1e-12)


def test_batches_are_taken_in_turn_where_there_are_too_few():
    two = data(2)
    assert pruning.find("prospr").batches({"steps": 5}) == 6
    few, many = (prospr(problem(smooth(), batches), steps=3) for batches in (two, [*two, *two]))
    assert all(torch.equal(score, many[name]) for name, score in few.items())


def test_parameters_that_are_not_trained_stay_where_they_are():
    model, batches = smooth(), data(2)
    free = prospr(problem(model, batches), steps=1)
    model[1].bias.requires_grad_(False)
    frozen = prospr(problem(model, batches), steps=1)
    assert not torch.allclose(free["4.weight"], frozen["4.weight"])


def test_a_loss_whose_slope_does_not_depend_on_the_weights_has_no_hessian():
    made = [problem(linear([1.0], [2.0]), [number(3.0, 0.0)], lambda y, t: y.sum()) for _ in range(2)]
    full, first_order = prospr(made[0], steps=2), prospr(made[1], steps=2, first_order=True)
    assert full["0.weight"].tolist() == first_order["0.weight"].tolist() == [[3.0], [6.0]]


def test_dropout_draws_the_same_in_both_passes_through_a_step():
    # Through y = dropout(θ⊙x)·1 with t = 0: were H taken at another draw than ∇L, s would not be this quadratic form.
    class Dropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.dropout = nn.Linear(8, 1, bias=False), nn.Dropout(0.5)

        def forward(self, x):
            return self.layer(self.dropout(x))

    model, seen = Dropped(), []
    model.dropout.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    prospr(problem(model, [(torch.ones(4, 8), torch.zeros(4, 1))] * 3, squared), steps=2)
    trained, last, back = seen[:2], seen[2], seen[3:]
    assert torch.equal(back[0], trained[1]) and torch.equal(back[1], trained[0])
    assert not torch.equal(trained[0], trained[1]) and not torch.equal(last, trained[0])


def test_passes_are_those_of_training_and_of_one_hessian_product_a_step():
    # 3 steps: 3·(forward + back), the last loss the same, and 3·(forward + back + back through both)
    full = pruning.prune(convolutional(), "prospr", 0.9, [batch(size=5)])
    assert (full.passes, full.work) == (4 * 2 + 3 * 3, 5 * (4 * 3 + 3 * 5))
    first_order = pruning.prune(convolutional(), "prospr", 0.9, [batch(size=5)], first_order=True)
    assert (first_order.passes, first_order.work) == (4 * 2, 5 * 4 * 3)


def test_options_that_are_off_are_no_part_of_a_trials_name():
    assert set(pruning.find("prospr").resolve({})) & {"first_order", "momentum"} == set()


def test_without_batches_it_says_what_to_pass():
    with pytest.raises(ValueError, match="pass batches="):
        pruning.prune(convolutional(), "prospr", 0.9)
