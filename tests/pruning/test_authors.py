"""Masks against the authors' published algorithms, rewritten after reading their code.

FORCE, Iter-SNIP and GRASP-It as in naver/force, GraSP as in alecwangcq/GraSP, SynFlow as in
ganguli-lab/Synaptic-Flow: plain torch, in their manner (weights of a copy overwritten, gradients blocked by hooks,
one threshold by ``topk``), sharing no code with ``pruning``. In float64, where scores tie at zero alone.

Where their code leaves the paper in a way that changes masks, the difference is accounted for by name:

- counts are whole numbers by truncation (``whole=int``), ours by rounding. Masks are compared to the letter where
  both give the same counts in every round, and with ``whole=round`` in their code elsewhere;
- every weight that ties with the threshold is kept (FORCE, GraSP) or removed (SynFlow). Their rounds report ties,
  and masks are compared where there are none; one test shows what becomes of ties;
- GraSP's threshold is the lowest score that is to go, and stays: one weight more is kept than was asked for.
"""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pruning
from pruning.masks import Masks
from pruning.problem import Batch
from pruning.schedules import kept_counts
from training import models

from .networks import batch, convolutional, perceptron, residual

Whole = Callable[[float], int]
METHODS = ["iter_snip", "iter_grasp", "force"]


def layers(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def densities(density: float, steps: int, schedule: str) -> list[float]:
    if schedule == "linear":
        return [1 - step * (1 - density) / steps for step in range(1, steps + 1)]
    return [math.exp(step * math.log(density) / steps) for step in range(1, steps + 1)]


def average_gradients(network: nn.Module, batches: list[Batch]) -> list[Tensor]:
    """Of nll_loss on raw logits, as ``backward`` and its hooks leave them on the weights."""
    totals = [torch.zeros_like(layer.weight) for layer in layers(network)]
    for inputs, labels in batches:
        network.zero_grad()
        F.nll_loss(network(inputs), labels).backward()
        for total, layer in zip(totals, layers(network), strict=True):
            total += layer.weight.grad
    return [total / len(batches) for total in totals]


def at_least_the_kth(scores: list[Tensor], k: int) -> tuple[list[Tensor], int]:
    """Masks of all weights that reach the k-th highest score, and the number of weights beyond k."""
    threshold = torch.cat([s.flatten() for s in scores]).topk(k).values[-1]
    masks = [(s >= threshold).to(s) for s in scores]
    return masks, int(sum(m.sum() for m in masks)) - k


def progressive(
    network: nn.Module,
    draw: Callable[[int], list[Batch]],
    density: float,
    method: str,
    steps: int,
    schedule: str,
    whole: Whole,
) -> tuple[list[Tensor], int]:
    """The FORCE authors' iterative pruning: the last mask by layer, and the ties of all rounds."""
    subject = copy.deepcopy(network)
    dense = [layer.weight.detach().clone() for layer in layers(network)]
    total = sum(weight.numel() for weight in dense)
    masks, hooks, ties = None, [], 0
    for step, share in enumerate(densities(density, steps, schedule), start=1):
        gradients = average_gradients(subject, draw(step))
        if method == "iter_grasp":
            scores = [g**2 for g in gradients]
        else:
            weights = dense if method == "force" else [layer.weight.detach() for layer in layers(subject)]
            scores = [(w * g).abs() for w, g in zip(weights, gradients, strict=True)]
        if masks is not None and method != "force":
            lowest = min(s.min() for s in scores)
            scores = [torch.where(m == 0, lowest, s) for s, m in zip(scores, masks, strict=True)]
        masks, tied = at_least_the_kth(scores, whole(total * share))
        ties += tied
        for hook in hooks:
            hook.remove()
        if method == "force":  # from the dense network again, gradients unblocked: any weight may return
            subject, hooks = copy.deepcopy(network), []
        else:
            hooks = [
                layer.weight.register_hook(lambda gradient, mask=mask: gradient * mask)
                for layer, mask in zip(layers(subject), masks, strict=True)
            ]
        for layer, mask in zip(layers(subject), masks, strict=True):
            layer.weight.data[mask == 0] = 0
    return masks, ties


def two_fresh_batches(step: int) -> list[Batch]:
    return [(images.double(), labels) for images, labels in (batch(2 * step), batch(2 * step + 1))]


def without_dropout(width: int) -> nn.Module:
    model = convolutional(width=width)
    model[7].p = 0.0  # theirs would draw other units
    return model.double()


NETWORKS = {
    "convolutional": lambda: without_dropout(8),
    "wide": lambda: without_dropout(16),
    "residual": lambda: residual().double(),
    "resnet20": lambda: models.build("resnet20", classes=4, size=8, width=0.25).double(),
}


def build(name: str) -> nn.Module:
    torch.manual_seed(1)
    return NETWORKS[name]().train()


def assert_equal(ours: Masks, theirs: list[Tensor]) -> None:
    for (name, mask), other in zip(ours.items(), theirs, strict=True):
        assert torch.equal(mask, other.bool()), name


def prune_like_them(network: nn.Module, method: str, sparsity: float, steps: int, schedule: str) -> Masks:
    return pruning.prune(
        network, method, sparsity, two_fresh_batches, loss="logit", rounds=steps, schedule=schedule
    ).masks


@pytest.mark.parametrize("schedule", ["exponential", "linear"])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["convolutional", "residual"])
def test_masks_equal_the_force_authors_to_the_letter_where_both_round_alike(name, method, steps, schedule):
    network = build(name)
    total = sum(layer.weight.numel() for layer in layers(network))

    def counts_agree(kept: int) -> bool:
        shares = densities((kept + 0.25) / total, steps, schedule)
        return [int(total * share) for share in shares] == kept_counts(total, kept, steps, schedule)

    kept = next(k for k in range(total // 20, total // 2) if counts_agree(k))
    density = (kept + 0.25) / total
    theirs, ties = progressive(network, two_fresh_batches, density, method, steps, schedule, whole=int)
    assert ties == 0
    assert int(sum(mask.sum() for mask in theirs)) == kept
    assert_equal(prune_like_them(network, method, 1 - density, steps, schedule), theirs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps", "schedule"),
    [
        ("wide", 60, "exponential"),
        ("residual", 10, "exponential"),
        ("residual", 10, "linear"),
        ("resnet20", 7, "linear"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_masks_equal_the_force_authors_over_many_rounds_with_counts_rounded(name, method, steps, schedule):
    network, sparsity = build(name), 0.9
    total = sum(layer.weight.numel() for layer in layers(network))
    density = (total - round(sparsity * total)) / total
    theirs, ties = progressive(network, two_fresh_batches, density, method, steps, schedule, whole=round)
    assert ties == 0
    assert_equal(prune_like_them(network, method, sparsity, steps, schedule), theirs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sparsity", "steps", "schedule"),
    [
        ("wide", 0.9, 60, "exponential"),
        ("residual", 0.95, 10, "exponential"),
        ("residual", 0.9, 10, "linear"),
        ("resnet20", 0.9, 7, "linear"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_masks_equal_the_force_authors_to_the_letter_with_the_counts_of_their_own_rounds(
    name, sparsity, steps, schedule, method
):
    network = build(name)
    total = sum(layer.weight.numel() for layer in layers(network))
    kept = total - round(sparsity * total)
    density = round(1 - sparsity, 15)
    density = next(d for d in (density, (kept + 0.01) / total) if int(total * d) == kept)  # they end with ours
    theirs, ties = progressive(network, two_fresh_batches, density, method, steps, schedule, whole=int)
    ours = pruning.prune(
        network, method, 1 - density, two_fresh_batches, loss="logit", rounds=steps, schedule=schedule, truncate=True
    )
    assert ties == 0
    assert ours.rounds[-1].kept == kept
    assert [r.kept for r in ours.rounds[:-1]] == [
        int(total * share) for share in densities(density, steps, schedule)[:-1]
    ]
    assert_equal(ours.masks, theirs)


def test_the_counts_of_their_own_rounds_make_another_mask_than_ours():
    network, rounds = build("wide"), {"loss": "logit", "rounds": 60}
    ours = pruning.prune(network, "force", 0.9, two_fresh_batches, **rounds).masks
    theirs = pruning.prune(network, "force", 0.9, two_fresh_batches, truncate=True, **rounds).masks
    assert sum(int(mask.sum()) for mask in theirs.values()) == sum(int(mask.sum()) for mask in ours.values())
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


def test_their_loss_is_not_the_cross_entropy_and_makes_other_masks():
    network = build("residual")
    logit = prune_like_them(network, "force", 0.9, 5, "exponential")
    other = pruning.prune(network, "force", 0.9, two_fresh_batches, rounds=5).masks
    assert any(not torch.equal(logit[name], other[name]) for name in logit)


@pytest.mark.parametrize("method", METHODS)
def test_where_fewer_scores_than_weights_to_keep_are_above_zero_they_keep_all_and_we_the_first(method):
    network = perceptron(6, 8, 3)
    network[0].bias.data = torch.tensor([10.0] * 2 + [-1e6] * 6)  # six units are dead: 12 + 6 weights have a gradient
    data = [(torch.rand(10, 6).double(), torch.arange(10) % 3)]
    theirs, ties = progressive(network.double(), lambda step: data, 0.5, method, 1, "exponential", whole=int)
    assert ties == 36
    assert all(mask.all() for mask in theirs)
    ours = pruning.prune(network, method, 0.5, data, loss="logit", rounds=1).masks
    alive = [torch.zeros(8, 6, dtype=torch.bool), torch.zeros(3, 8, dtype=torch.bool)]
    alive[0][:2] = alive[1][:, :2] = True
    assert sum(int(mask.sum()) for mask in ours.values()) == 36
    assert all(mask[a].all() for mask, a in zip(ours.values(), alive, strict=True))


def grasp(network: nn.Module, batches: list[Batch], removed: float, redraw: torch.Generator | None) -> list[Tensor]:
    """The GraSP authors' mask: remove the highest −θ·Hg; gradients of all batches summed, in both passes."""
    network = copy.deepcopy(network)
    for layer in layers(network):
        if isinstance(layer, nn.Linear) and redraw:
            nn.init.xavier_normal_(layer.weight, generator=redraw)
    weights = [layer.weight for layer in layers(network)]
    losses = [lambda x=x, y=y: F.cross_entropy(network(x) / 200, y) for x, y in batches]
    total = [
        sum(gradients) for gradients in zip(*(torch.autograd.grad(loss(), weights) for loss in losses), strict=True)
    ]
    for loss in losses:
        gradients = torch.autograd.grad(loss(), weights, create_graph=True)
        sum((t * g).sum() for t, g in zip(total, gradients, strict=True)).backward(inputs=weights)
    scores = [-w.detach() * w.grad for w in weights]
    flat = torch.cat([s.flatten() for s in scores])
    threshold = flat.topk(int(len(flat) * removed)).values[-1]
    return [s <= threshold for s in scores]


@pytest.mark.parametrize("redraw", [False, True])
@pytest.mark.parametrize("name", ["convolutional", "residual"])
def test_masks_equal_the_grasp_authors_with_and_without_a_redrawn_classifier(name, redraw):
    network, batches, removed = build(name), two_fresh_batches(1), 0.9
    total = sum(layer.weight.numel() for layer in layers(network))
    draws = torch.Generator().manual_seed(4)
    theirs = grasp(network, batches, removed, draws if redraw else None)
    kept = total - int(total * removed) + 1
    assert sum(int(mask.sum()) for mask in theirs) == kept
    ours = pruning.prune(
        network,
        "grasp",
        1 - kept / total,
        batches,
        generator=torch.Generator().manual_seed(4),
        redraw_classifier=redraw,
    )
    assert_equal(ours.masks, theirs)


def synflow(network: nn.Module, density: float, steps: int, whole: Whole) -> list[Tensor]:
    """The SynFlow authors' loop in float64 and eval mode: at θ⊙c, all entries positive, remove the lowest scores."""
    network = copy.deepcopy(network).eval()
    for tensor in network.state_dict().values():
        tensor.abs_()
    masks = [torch.ones_like(layer.weight) for layer in layers(network)]
    for share in densities(density, steps, "exponential"):
        for layer, mask in zip(layers(network), masks, strict=True):
            layer.weight.data.mul_(mask)
        network.zero_grad()
        network(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().backward()
        scores = [(layer.weight * layer.weight.grad).detach().abs() for layer in layers(network)]
        flat = torch.cat([s.flatten() for s in scores])
        threshold = flat.kthvalue(whole((1 - share) * len(flat))).values
        masks = [(s > threshold).to(s) for s in scores]
    return masks


@pytest.mark.parametrize(("steps", "sparsity"), [(1, 0.8), (5, 0.9), (100, 0.95)])
@pytest.mark.parametrize("name", ["convolutional", "residual"])
def test_masks_equal_the_synflow_authors_with_counts_rounded(name, steps, sparsity):
    network = build(name)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    total = sum(layer.weight.numel() for layer in layers(network))
    kept = total - round(sparsity * total)
    theirs = synflow(network, kept / total, steps, whole=round)
    assert int(sum(mask.sum() for mask in theirs)) == kept
    assert_equal(pruning.prune(network, "synflow", sparsity, input_shape=(3, 8, 8), rounds=steps).masks, theirs)
