"""Each score by hand arithmetic, and against an independent derivation."""

import copy
import itertools

import pytest
import torch
from networks import batch, convolutional, linear
from torch import nn
from torch.nn import functional as F

import pruning
from pruning.masks import full
from pruning.problem import LOSSES, Problem


def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """½ mean‖y − t‖²: its gradients and Hessians can be done in the head."""
    return 0.5 * (outputs - targets).square().sum(1).mean()


def problem(model, batches=(), loss=squared, seed=0, shape=None) -> Problem:
    made = Problem(model, loss, torch.Generator().manual_seed(seed), shape)
    made.batches = batches
    return made


def score(name: str, made: Problem, **options):
    return pruning.find(name).score(made, **options)


def test_magnitude_is_the_absolute_weight():
    assert score("magnitude", problem(linear([1.0, -2.0])))["0.weight"].tolist() == [[1.0, 2.0]]


def test_snip_is_weight_times_gradient():
    # y = 1·3 + (−2)·1 = 1, t = 0: dL/dy = 1, dL/dθ = (3, 1), |θ·g| = (3, 2)
    made = problem(linear([1.0, -2.0]), [(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0]]))])
    assert score("snip", made)["0.weight"].tolist() == [[3.0, 2.0]]


def test_gradients_are_averaged_over_batches_before_the_absolute_value():
    # gradients (3, 1) and, with t = 2, dL/dy = −1: (−3, −1). Their mean is zero, the mean of |·| is not.
    inputs = torch.tensor([[3.0, 1.0]])
    made = problem(linear([1.0, -2.0]), [(inputs, torch.tensor([[0.0]])), (inputs, torch.tensor([[2.0]]))])
    assert score("snip", made)["0.weight"].tolist() == [[0.0, 0.0]]


def test_force_scores_a_removed_weight_by_its_dense_value_and_the_pruned_networks_gradient():
    # without the second weight y = 3, dL/dy = 3, g = (9, 3): FORCE scores (1·9, |−2|·3), not zero where masked
    made = problem(linear([1.0, -2.0]), [(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0]]))])
    made.mask({"0.weight": torch.tensor([[True, False]])})
    assert score("force", made)["0.weight"].tolist() == [[9.0, 6.0]]


def test_iter_grasp_is_the_squared_gradient_without_the_weight():
    made = problem(linear([1.0, -2.0]), [(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0]]))])
    assert score("iter_grasp", made)["0.weight"].tolist() == [[9.0, 1.0]]


def test_grasp_is_signed_weight_times_hessian_times_gradient():
    # g = (3, 1), H = x xᵀ = [[9, 3], [3, 1]], Hg = (30, 10), θ·Hg = (30, −20): the sign stays
    made = problem(linear([1.0, -2.0]), [(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0]]))])
    assert score("grasp", made, temperature=1.0)["0.weight"].tolist() == [[30.0, -20.0]]


def test_removing_the_weight_that_grasp_scores_lowest_raises_the_gradient_norm_most_to_first_order():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    inputs, labels = torch.randn(20, 4).double(), torch.randint(0, 3, (20,))
    made = problem(model, [(inputs, labels)], LOSSES["cross_entropy"])
    scores = score("grasp", made, temperature=1.0)

    def norm(weight: torch.Tensor) -> float:
        parameters = list(pruning.prunable(model).values())
        g = torch.autograd.grad(F.cross_entropy(model(inputs), labels), parameters)
        return float(sum(x.square().sum() for x in g))

    weight, eps = model[0].weight, 1e-6
    for index in [(0, 0), (2, 3), (4, 1)]:
        value = weight.data[index].item()
        change = []
        for sign in (1, -1):
            weight.data[index] = value * (1 + sign * eps)
            change.append(norm(weight))
        weight.data[index] = value
        directional = (change[0] - change[1]) / (2 * eps)  # d‖g‖²/d(log θ_i) = 2 θ_i (Hg)_i
        assert scores["0.weight"][index].item() == pytest.approx(directional / 2, rel=1e-4)


def test_snip_is_the_finite_difference_of_the_loss_in_the_mask():
    model = convolutional().double().eval()
    inputs, labels = batch()
    made = problem(model, [(inputs.double(), labels)], LOSSES["cross_entropy"])
    scores = score("snip", made)
    for name in ("0.weight", "10.weight"):
        weight = model.get_parameter(name)
        largest = int(scores[name].argmax())  # where rounding matters least beside the difference
        index, eps = tuple(int(i) for i in torch.unravel_index(torch.tensor(largest), weight.shape)), 1e-5
        losses, value = [], weight.data[index].item()
        for c in (1 + eps, 1 - eps):
            weight.data[index] = value * c
            losses.append(F.cross_entropy(model(inputs.double()), labels).item())
        weight.data[index] = value
        expected = abs(losses[0] - losses[1]) / (2 * eps)
        assert scores[name][index].item() == pytest.approx(expected, rel=1e-6)


def test_synflow_by_hand_on_two_layers():
    # |W1| = [[1, 2], [0, 3]], |W2| = [[4, 5]]; R = 4·(1+2) + 5·(0+3) = 27
    # share of W1[i, j] = |w|·|w2_i|: (4, 8; 0, 15); of W2[i] = |w2_i|·(sum of row i): (12, 15)
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    model[0].weight.data, model[2].weight.data = torch.tensor([[1.0, -2.0], [0.0, 3.0]]), torch.tensor([[-4.0, 5.0]])
    scores = score("synflow", problem(model, shape=(2,)))
    assert scores["0.weight"].tolist() == [[4.0, 8.0], [0.0, 15.0]]
    assert scores["2.weight"].tolist() == [[12.0, 15.0]]


def test_synflow_conserves_flow_through_every_layer_without_bias():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 9, bias=False), nn.ReLU(), nn.Linear(9, 7, bias=False), nn.ReLU(), nn.Linear(7, 3, bias=False)
    )
    sums = [float(s.sum()) for s in score("synflow", problem(model, shape=(6,))).values()]
    assert sums == pytest.approx([sums[0]] * 3, rel=1e-12)


def test_synflow_scores_stay_above_zero_in_a_network_too_deep_for_float32():
    model = nn.Sequential(*[layer for _ in range(60) for layer in (nn.Linear(4, 4, bias=False), nn.ReLU())])
    for parameter in model.parameters():
        parameter.data.fill_(1e-2)
    scores = score("synflow", problem(model, shape=(4,)))
    assert all((s > 0).all() and s.isfinite().all() for s in scores.values())


def test_synflow_takes_batchnorm_by_its_running_statistics_and_absolute_values():
    model = convolutional()
    for layer in (model[1], model[5]):
        layer.weight.data.uniform_(-2, -1)
        layer.running_mean.uniform_(-1, 1)
        layer.bias.data.zero_()
        layer.running_mean.zero_()
    negative = score("synflow", problem(model, shape=(3, 8, 8)))
    for layer in (model[1], model[5]):
        layer.weight.data.abs_()
    positive = score("synflow", problem(model, shape=(3, 8, 8)))
    assert all(torch.equal(negative[name], positive[name]) for name in positive)


def test_random_scores_are_uniform_and_depend_on_the_generator_alone():
    first, again, other = (score("random", problem(convolutional(width=32), seed=s)) for s in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["4.weight"], other["4.weight"])
    assert abs(float(first["4.weight"].mean()) - 0.5) < 0.01


def test_the_logit_loss_is_minus_the_mean_logit_of_the_right_class():
    logits = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert LOSSES["logit"](logits, torch.tensor([0, 1])).item() == -(1.0 + 5.0) / 2


def test_one_round_of_iter_snip_and_force_is_snip_to_the_bit():
    model, data = convolutional(), [batch()]
    snip = pruning.prune(model, "snip", 0.9, data).masks
    for method in ("iter_snip", "force"):
        masks = pruning.prune(model, method, 0.9, data, rounds=1).masks
        assert all(torch.equal(masks[name], snip[name]) for name in snip)


def test_iter_snip_supports_are_nested_and_force_revives_weights():
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
