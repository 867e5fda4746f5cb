"""Each score by hand arithmetic; the effect of rounds; inputs that a method must not use.

Scores against independent derivations: test_derivations.py. SynFlow: test_synflow.py.
"""

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import pruning
from pruning.masks import count, full
from pruning.problem import LOSSES

from .networks import batch, convolutional, linear, perceptron, problem, residual, score

# y = 1·3 + (−2)·1 = 1 and t = 0: dL/dy = 1, g = dL/dθ = (3, 1)
INPUTS = torch.tensor([[3.0, 1.0]])
DATA = [(INPUTS, torch.tensor([[0.0]]))]


def test_magnitude_is_the_absolute_weight():
    assert score("magnitude", problem(linear([1.0, -2.0])))["0.weight"].tolist() == [[1.0, 2.0]]


def test_snip_is_weight_times_gradient():
    assert score("snip", problem(linear([1.0, -2.0]), DATA))["0.weight"].tolist() == [[3.0, 2.0]]


def test_gradients_are_averaged_over_batches_before_the_absolute_value():
    # gradients (3, 1) and, with t = 2, dL/dy = −1: (−3, −1). Their mean is zero, the mean of |·| is not.
    made = problem(linear([1.0, -2.0]), [*DATA, (INPUTS, torch.tensor([[2.0]]))])
    assert score("snip", made)["0.weight"].tolist() == [[0.0, 0.0]]


def test_force_scores_a_removed_weight_by_its_dense_value_and_the_pruned_networks_gradient():
    # without the second weight y = 3, dL/dy = 3, g = (9, 3): FORCE scores (1·9, |−2|·3), not zero where masked
    made = problem(linear([1.0, -2.0]), DATA)
    made.mask({"0.weight": torch.tensor([[True, False]])})
    assert score("force", made)["0.weight"].tolist() == [[9.0, 6.0]]


def test_iter_grasp_is_the_squared_gradient_without_the_weight():
    assert score("iter_grasp", problem(linear([1.0, -2.0]), DATA))["0.weight"].tolist() == [[9.0, 1.0]]


def test_grasp_is_signed_weight_times_hessian_times_gradient():
    # g = (3, 1), H = x xᵀ = [[9, 3], [3, 1]], Hg = (30, 10), θ·Hg = (30, −20): the sign stays
    made = problem(linear([1.0, -2.0]), DATA)
    assert score("grasp", made, temperature=1.0)["0.weight"].tolist() == [[30.0, -20.0]]


def test_grasp_divides_the_logits_by_its_temperature():
    # y / 2 = ½: g = ½·½·(3, 1), H = ¼·x xᵀ: θ·Hg = 1/16 · (30, −20)
    made = problem(linear([1.0, -2.0]), DATA)
    assert score("grasp", made, temperature=2.0)["0.weight"].tolist() == [[30 / 16, -20 / 16]]
    assert pruning.find("grasp").options["temperature"] == 200.0


def test_grasp_on_a_redrawn_classifier_is_grasp_of_the_drawn_weights():
    # H = x xᵀ and g = (3a + b)·x for weights (a, b): θ·Hg = 10·(3a + b) · (3a, b)
    drawn = torch.empty(1, 2)
    nn.init.xavier_normal_(drawn, generator=torch.Generator().manual_seed(5))
    a, b = drawn[0].tolist()
    model = linear([1.0, -2.0])
    made = problem(model, DATA, seed=5)
    found = score("grasp", made, temperature=1.0, redraw_classifier=True)["0.weight"]
    assert found[0].tolist() == pytest.approx([30 * a * (3 * a + b), 10 * b * (3 * a + b)], rel=1e-5)
    assert model[0].weight.tolist() == made.parameters["0.weight"].tolist() == [[1.0, -2.0]]


def test_grasp_redraws_every_linear_layer_and_nothing_else():
    model, data = residual(), [batch()]
    pruned = pruning.prune(
        model, "grasp", 0.8, data, generator=torch.Generator().manual_seed(3), redraw_classifier=True
    )
    other = copy.deepcopy(model)
    nn.init.xavier_normal_(other.classifier.weight, generator=torch.Generator().manual_seed(3))
    expected = pruning.prune(other, "grasp", 0.8, data).masks
    plain = pruning.prune(model, "grasp", 0.8, data).masks
    assert all(torch.equal(pruned.masks[name], expected[name]) for name in expected)
    assert any(not torch.equal(pruned.masks[name], plain[name]) for name in plain)


def test_grasp_redraws_both_layers_of_a_perceptron_one_after_the_other():
    model, data = perceptron(4, 5, 3).double(), [(torch.randn(6, 4).double(), torch.randn(6, 3).double())]
    found = score("grasp", problem(model, data, seed=1), redraw_classifier=True)
    draws = torch.Generator().manual_seed(1)
    for layer in (model[0], model[2]):
        nn.init.xavier_normal_(layer.weight, generator=draws)
    expected = score("grasp", problem(model, data))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_network_without_a_linear_layer_has_no_classifier_to_redraw():
    model = nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten())
    with pytest.raises(ValueError, match="^redraw_classifier: the network has no linear layer"):
        pruning.prune(model, "grasp", 0.5, [batch()], redraw_classifier=True)


def test_the_logit_loss_is_minus_the_mean_logit_of_the_right_class():
    logits = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert LOSSES["logit"](logits, torch.tensor([0, 1])).item() == -(1.0 + 5.0) / 2


def test_random_scores_are_uniform_and_depend_on_the_generator_alone():
    first, again, other = (score("random", problem(convolutional(width=32), seed=s)) for s in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["4.weight"], other["4.weight"])
    ordered = first["4.weight"].flatten().sort().values
    assert (ordered - torch.linspace(0, 1, len(ordered), dtype=torch.float64)).abs().max() < 0.012  # Kolmogorov, 1e-3


@pytest.mark.parametrize("method", ["random", "random_layerwise"])
def test_random_pruning_keeps_every_weight_equally_often(method):
    model, kept = linear([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), torch.zeros(2, 3)
    for seed in range(600):
        masks = pruning.prune(model, method, 0.5, generator=torch.Generator().manual_seed(seed)).masks
        kept += masks["0.weight"]
    assert ((kept / 600 - 0.5).abs() < 0.1).all()  # five standard deviations


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 0.999), st.integers(0, 1000))
def test_random_layerwise_keeps_the_same_share_of_every_layer(sparsity, seed):
    masks = pruning.prune(residual(), "random_layerwise", sparsity, generator=torch.Generator().manual_seed(seed)).masks
    density = count(masks) / sum(mask.numel() for mask in masks.values())
    assert all(abs(int(mask.sum()) - density * mask.numel()) < 1 for mask in masks.values())


def test_where_all_scores_tie_the_first_weights_in_order_of_the_network_are_kept():
    model = perceptron(2, 3, 2, bias=False)
    for layer in (model[0], model[2]):
        layer.weight.data.fill_(0.5)
    kept = torch.cat([mask.flatten() for mask in pruning.prune(model, "magnitude", 1 / 3).masks.values()])
    assert kept.tolist() == [True] * 8 + [False] * 4


def test_weights_without_any_gradient_tie_and_still_the_count_is_exact():
    model = perceptron(4, 6, 3)
    model[0].bias.data.fill_(-1e6)  # no unit is ever active: all of both layers' scores are zero
    data = [(torch.rand(8, 4), torch.randint(0, 3, (8,)))]
    for method in ("snip", "force", "iter_snip", "iter_grasp", "grasp"):
        assert count(pruning.prune(model, method, 0.5, data).masks) == 21, method


def test_one_round_of_iter_snip_and_force_is_snip_to_the_bit():
    model, data = convolutional(), [batch()]
    snip = pruning.prune(model, "snip", 0.9, data).masks
    for method in ("iter_snip", "force"):
        masks = pruning.prune(model, method, 0.9, data, rounds=1).masks
        assert all(torch.equal(masks[name], snip[name]) for name in snip)


def test_iter_snip_supports_are_nested_and_force_regrows_weights():
    model = convolutional(width=32)

    def fresh(step: int):
        return [batch(seed=step)]

    nested = pruning.prune(model, "iter_snip", 0.95, fresh, rounds=20)
    revived = pruning.prune(model, "force", 0.95, fresh, rounds=20)
    assert [r.revived for r in nested.rounds] == [0] * 20
    assert sum(r.revived for r in revived.rounds) > 0
    for pruned in (nested, revived):
        total = sum(mask.numel() for mask in pruned.masks.values())
        kept = [total, *(r.kept for r in pruned.rounds)]
        assert [a - b for a, b in itertools.pairwise(kept)] == [r.lost - r.revived for r in pruned.rounds]


def test_force_follows_the_papers_recursion_written_out_plainly():
    model, rounds, sparsity = convolutional(width=16), 4, 0.9
    masks = pruning.prune(model, "force", sparsity, [batch()], rounds=rounds, train_mode=False).masks

    plain = copy.deepcopy(model).eval()
    theta = {name: w.detach().clone() for name, w in pruning.prunable(plain).items()}
    total = sum(w.numel() for w in theta.values())
    kept = total - round(sparsity * total)
    for t in range(1, rounds + 1):
        inputs, labels = batch()
        plain.zero_grad()
        F.cross_entropy(plain(inputs), labels).backward()
        saliency = torch.cat([(theta[n] * w.grad).abs().flatten() for n, w in pruning.prunable(plain).items()])
        k = kept if t == rounds else round(total * (kept / total) ** (t / rounds))
        chosen = torch.zeros(total, dtype=torch.bool)
        chosen[saliency.sort(descending=True, stable=True).indices[:k]] = True
        pieces = chosen.split([w.numel() for w in theta.values()])
        for (name, w), piece in zip(pruning.prunable(plain).items(), pieces, strict=True):
            w.data = theta[name] * piece.view_as(w)
    for (name, mask), piece in zip(masks.items(), pieces, strict=True):
        assert torch.equal(mask.flatten(), piece), name


def test_dense_keeps_everything():
    model = convolutional()
    pruned = pruning.prune(model, "dense", 0.0)
    assert all(
        torch.equal(a, b) for a, b in zip(pruned.masks.values(), full(pruning.prunable(model)).values(), strict=True)
    )
    with pytest.raises(ValueError, match="dense removes nothing"):
        pruning.prune(model, "dense", 0.5)
