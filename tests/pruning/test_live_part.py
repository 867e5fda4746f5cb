"""The live part of a network: kept channels by hand; in float64, it has every gradient of the full network."""

import pytest
import torch
from torch import nn

import pruning
from pruning.compaction.kept_indices import put_back
from pruning.compaction.live_part import LiveParts
from pruning.masks import count, full
from pruning.problem import Problem
from training import models, seeding

from .networks import convolutional

SHAPES = {"vgg_digits": (1, 8, 8), "resnet20": (3, 16, 16)}


def build(architecture: str) -> nn.Module:
    channels, size, _ = SHAPES[architecture]
    with seeding.seeded(0, "weights"):
        return models.build(architecture, classes=10, channels=channels, size=size).double()


def batches(shape: tuple[int, ...], number: int = 1) -> list[tuple[torch.Tensor, torch.Tensor]]:
    draws = torch.Generator().manual_seed(0)
    return [
        (torch.randn(20, *shape, generator=draws, dtype=torch.float64), torch.arange(20) % 10) for _ in range(number)
    ]


def problem(model: nn.Module, masks: pruning.Masks, data, live: LiveParts | None) -> Problem:
    found = Problem(model, nn.functional.cross_entropy, torch.Generator().manual_seed(1), None)
    found.batches, found._live = data, live
    found.mask(masks)
    return found


def assert_same_gradients(model: nn.Module, masks: pruning.Masks, live: LiveParts, data) -> None:
    """Compare gradients of the live part with those of the full network."""
    by_part, by_all = problem(model, masks, data, live), problem(model, masks, data, None)
    found, expected = by_part.gradients(), by_all.gradients()
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-8, atol=1e-10)
    assert by_part.objective == pytest.approx(by_all.objective)
    assert (by_part.passes, by_part.work) == (by_all.passes, by_all.work)


def random_masks(model: nn.Module, density: float, seed: int = 0) -> pruning.Masks:
    draws = torch.Generator().manual_seed(seed)
    weights = pruning.prunable(model)
    return {name: torch.rand(w.shape, generator=draws) < density for name, w in weights.items()}


@pytest.mark.slow
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("architecture", "sparsity"), [("vgg_digits", 0.995), ("resnet20", 0.97)])
def test_every_gradient_equals_that_of_the_full_network(architecture, sparsity, train):
    model, data = build(architecture).train(train), batches(SHAPES[architecture], 2)
    masks = pruning.prune(model, "force", sparsity, data, rounds=10, train_mode=train).masks
    live = LiveParts(model)
    part = live.at(masks, SHAPES[architecture])
    assert part is not None
    fewer = sum(w.numel() for w in pruning.prunable(part.model).values())
    assert fewer < 0.8 * sum(mask.numel() for mask in masks.values())
    gradients = problem(model, masks, data, None).gradients()
    assert any(bool((gradients[name] != 0).logical_and(~mask).any()) for name, mask in masks.items())  # of removed ones
    assert_same_gradients(model, masks, live, data)


def test_channels_that_are_neither_fed_nor_read_are_removed(monkeypatch):
    monkeypatch.setattr("pruning.compaction.live_part.MAX_DENSITY", 1.0)
    monkeypatch.setattr("pruning.compaction.live_part.WIDTH", 1)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 5, 3, bias=False), nn.ReLU(), nn.Flatten(),
        nn.Linear(5 * 16, 10),
    ).double()  # fmt: skip
    masks = full({name: weight.detach() for name, weight in pruning.prunable(model).items()})
    masks["0.weight"][[0, 1]] = False  # channels 0 and 1 are not fed
    masks["2.weight"][:, [1, 2]] = False  # channels 1 and 2 are not read
    part = LiveParts(model).at(masks, (3, 8, 8))
    assert part is not None
    torch.testing.assert_close(part.model[0].weight, model[0].weight[[0, 2, 3]])  # at its own weights, unmasked
    assert part.masks["0.weight"].flatten(1).any(1).tolist() == [False, True, True]
    assert_same_gradients(model, masks, LiveParts(model), batches((3, 8, 8)))


def test_regrown_weights_of_dead_channels_are_found_again():
    model, data = build("vgg_digits"), batches((1, 8, 8))
    masks = pruning.prune(model, "force", 0.995, data, rounds=4).masks
    live = LiveParts(model)
    first = live.at(masks, (1, 8, 8))
    assert first is not None and live.at(masks, (1, 8, 8)) is not None
    others = random_masks(model, 0.004)  # on a path through other channels, and no more than there were
    assert count(first.under(others).masks) < count(others) <= count(masks)
    assert_same_gradients(model, others, live, data)
    assert_same_gradients(model, masks, live, data)


def test_a_part_is_reused_until_a_seventh_of_its_weights_is_removed():
    model = build("vgg_digits")
    masks = pruning.prune(model, "force", 0.99, batches((1, 8, 8)), rounds=4).masks
    live = LiveParts(model)
    part = live.at(masks, (1, 8, 8))
    assert part is not None

    def inside(share: float) -> pruning.Masks:
        """The first of the weights that the part has."""
        kept = {
            name: mask & (mask.flatten().cumsum(0).view_as(mask) <= share * count({name: mask}))
            for name, mask in part.masks.items()
        }
        return {name: put_back(torch.zeros_like(m), part.places.get(name, ()), kept[name]) for name, m in masks.items()}

    most, fewer = inside(0.95), inside(0.8)
    assert count(most) > 0.85 * count(masks) > count(fewer)
    still = live.at(most, (1, 8, 8))
    assert still is not None and still.model is part.model
    smaller = live.at(fewer, (1, 8, 8))
    assert smaller is not None and smaller.model is not part.model


def test_dense_networks_and_those_that_cannot_be_traced_run_in_full():
    model = build("vgg_digits")
    assert LiveParts(model).at(full({n: w.detach() for n, w in pruning.prunable(model).items()}), (1, 8, 8)) is None

    class Untraceable(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = convolutional()

        def forward(self, x):
            return self.inner(x if x.sum() > -1e9 else -x)

    own = Untraceable()
    assert (
        LiveParts(own).at(
            {n: torch.zeros_like(w, dtype=torch.bool) for n, w in pruning.prunable(own).items()}, (3, 8, 8)
        )
        is None
    )


def test_gradients_are_taken_at_weights_that_a_method_has_replaced():
    model, data = build("vgg_digits"), batches((1, 8, 8))
    masks = pruning.prune(model, "force", 0.995, data, rounds=4).masks
    found = []
    for live in (LiveParts(model), None):
        one = problem(model, masks, data, live)
        one.parameters = {name: (2 * weight.detach()).requires_grad_() for name, weight in one.parameters.items()}
        found.append(one.gradients())
    assert all(found[0][name].equal(found[1][name]) for name in masks)


@pytest.mark.slow
def test_passes_in_bf16_skip_dead_channels_and_those_in_fp32_do_not(monkeypatch):
    model, seen = build("vgg_digits").float(), []
    data = [(images.float(), labels) for images, labels in batches((1, 8, 8))]
    monkeypatch.setattr(Problem, "_gradients_of", lambda self, part, temperature: seen.append(part) or self.dense)
    for precision in ("fp32", "bf16"):
        pruning.prune(model, "iter_snip", 0.995, data, rounds=20, precision=precision)
        assert bool(seen) == (precision == "bf16")
