"""Measurements of a masked network: paths, gradient norm, multiply-accumulates."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import pruning
from pruning.diagnostics import diagnose
from pruning.macs import positions
from pruning.masks import count, full
from pruning.paths import effective

from .networks import batch, convolutional, linear, perceptron

Edges = dict[tuple, list[tuple]]  # unit -> (weight that leads on or None, next unit)


def dense_edges(edges: Edges, name: str, mask: torch.Tensor, source: str, target: str) -> None:
    for o, i in mask.nonzero().tolist():
        edges.setdefault((source, i), []).append(((name, o, i), (target, o)))


def convolution_edges(
    edges: Edges, name: str, mask: torch.Tensor, source: str, target: str, side: int, padding: int
) -> None:
    """Edges of a convolution of side × side images, stride 1."""
    outputs = side + 2 * padding - mask.shape[2] + 1
    for o, i, ky, kx in mask.nonzero().tolist():
        for y, x in itertools.product(range(outputs), repeat=2):
            below, right = y + ky - padding, x + kx - padding
            if 0 <= below < side and 0 <= right < side:
                edges.setdefault((source, i, below, right), []).append(((name, o, i, ky, kx), (target, o, y, x)))


def on_a_path(edges: Edges, masks: dict[str, torch.Tensor], first: str, last: str) -> dict[str, torch.Tensor]:
    """Brute force: walk every path from a unit of the first layer to one of the last, and collect the weights on it."""
    alive = {name: torch.zeros_like(mask) for name, mask in masks.items()}

    def walk(unit: tuple, weights: list[tuple]) -> None:
        if unit[0] == last:
            for name, *index in weights:
                alive[name][tuple(index)] = True
        for weight, following in edges.get(unit, ()):
            walk(following, [*weights, weight] if weight else weights)

    for unit in [unit for unit in edges if unit[0] == first]:
        walk(unit, [])
    return alive


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=6), st.floats(0.05, 0.9), st.integers(0, 10**6))
def test_effective_weights_are_those_on_a_path_from_input_to_output(widths, density, seed):
    model = perceptron(*widths, seed=seed)
    masks = {name: torch.rand(w.shape) < density for name, w in pruning.prunable(model).items()}
    edges: Edges = {}
    for layer, (name, mask) in enumerate(masks.items()):
        dense_edges(edges, name, mask, f"units {layer}", f"units {layer + 1}")
    expected = on_a_path(edges, masks, "units 0", f"units {len(masks)}")
    found = effective(model, masks, (widths[0],))
    assert all(torch.equal(found[name], expected[name]) for name in masks)


class Shortcuts(nn.Module):
    """3×3 images: a convolution, a block with an identity and a 1×1 shortcut, max-pooling, a classifier.

    The block's images are 2×2, so that each of the nine weights of a 3×3 kernel is used at other places, and what
    max-pooling lets through of one is not what it lets through of another.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2)
        self.second, self.shortcut = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1)
        self.pool, self.classifier = nn.MaxPool2d(2), nn.Linear(2, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.first(images)))
        return self.classifier(self.pool(torch.relu(self.second(x)) + self.shortcut(x) + x).flatten(1))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.05, 0.8), st.integers(0, 10**6))
def test_effective_weights_are_those_on_a_path_through_convolutions_shortcuts_and_pooling(density, seed):
    torch.manual_seed(seed)
    model = Shortcuts()
    masks = {name: torch.rand(w.shape) < density for name, w in pruning.prunable(model).items()}
    edges: Edges = {}
    convolution_edges(edges, "first.weight", masks["first.weight"], "images", "features", 3, padding=0)
    convolution_edges(edges, "second.weight", masks["second.weight"], "features", "sum", 2, padding=1)
    convolution_edges(edges, "shortcut.weight", masks["shortcut.weight"], "features", "sum", 2, padding=0)
    for c, y, x in itertools.product(range(2), repeat=3):
        edges.setdefault(("features", c, y, x), []).append((None, ("sum", c, y, x)))
        edges.setdefault(("sum", c, y, x), []).append((None, ("pooled", c)))
    dense_edges(edges, "classifier.weight", masks["classifier.weight"], "pooled", "logits")
    expected = on_a_path(edges, masks, "images", "logits")
    found = effective(model, masks, (1, 3, 3))
    assert all(torch.equal(found[name], expected[name]) for name in masks)


def test_all_of_a_dense_network_is_effective_even_through_max_pooling_and_shifted_batchnorm():
    model = convolutional()
    for layer in (model[1], model[5]):
        layer.weight.data.fill_(-1.0)
        layer.bias.data.fill_(-5.0)
        layer.running_mean.fill_(3.0)
    masks = full(pruning.prunable(model))
    assert count(effective(model, masks, (3, 8, 8))) == count(masks)


@pytest.mark.parametrize(
    "norm",
    [
        lambda n: nn.GroupNorm(2, n),
        lambda n: nn.InstanceNorm2d(n),
        lambda n: nn.BatchNorm2d(n, track_running_stats=False),
    ],
)
def test_no_normalisation_layer_cuts_a_dense_network(norm):
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), norm(4), nn.ReLU(), nn.Conv2d(4, 4, 3), norm(4), nn.Flatten(), nn.Linear(64, 2)
    )
    masks = full(pruning.prunable(model))
    assert count(effective(model, masks, (3, 8, 8))) == count(masks)


def test_a_shared_bias_closes_no_path():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].bias = model[0].bias
    masks = full(pruning.prunable(model))
    assert count(effective(model, masks, (3,))) == 18


def test_a_transposed_convolutions_weight_is_used_once_an_input_position():
    model = nn.Sequential(nn.ConvTranspose2d(4, 6, 2, stride=2))
    assert positions(model.double(), (4, 8, 8)) == {"0.weight": 64}


def test_a_layer_without_weights_cuts_everything_off():
    model = convolutional()
    masks = full(pruning.prunable(model))
    masks["4.weight"] = torch.zeros_like(masks["4.weight"])
    found = diagnose(model, masks, [batch()])
    assert (found.effective_sparsity, found.empty_layers, found.disconnected) == (1.0, 1, True)
    assert found.sparsity == 1152 / 1432


def test_a_network_without_weights_has_no_speedup_and_no_compression():
    model = convolutional()
    found = diagnose(model, {name: ~mask for name, mask in full(pruning.prunable(model)).items()}, [batch()])
    assert (found.sparsity, found.empty_layers, found.disconnected) == (1.0, 3, True)
    assert (found.speedup, found.compression_ratio) == (None, None)
    assert (found.gradient_norm, found.force_objective) == (0.0, 0.0)


def test_a_dense_network_gains_nothing():
    model = convolutional()
    found = diagnose(model, full(pruning.prunable(model)), [batch()])
    assert (found.sparsity, found.effective_sparsity, found.empty_layers, found.disconnected) == (0.0, 0.0, 0, False)
    assert (found.speedup, found.compression_ratio) == (1.0, 1.0)


def test_gradient_norm_and_force_objective_by_hand():
    # y = 3 without the second weight; with ½y²: g = (9, 3); kept is the first: Σ c g² = 81, Σ c|θ g| = 9
    model, masks = linear([1.0, -2.0]), {"0.weight": torch.tensor([[True, False]])}

    def half_square(outputs, targets):
        return 0.5 * (outputs - targets).square().sum(1).mean()

    found = diagnose(model, masks, [(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0]]))], half_square)
    assert (found.gradient_norm, found.force_objective) == (81.0, 9.0)


def test_macs_are_output_positions_times_weights():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(64, 10))
    assert positions(model, (3, 8, 8)) == {"0.weight": 16, "2.weight": 1}
    masks = full(pruning.prunable(model))
    masks["0.weight"][0] = False
    found = diagnose(model, masks, [batch()])
    assert found.macs_dense == 16 * 4 * 3 * 9 + 640
    assert found.macs_kept == 16 * 3 * 3 * 9 + 640
    assert found.speedup == (16 * 108 + 640) / (16 * 81 + 640)
    assert found.compression_ratio == (108 + 640) / (81 + 640)
    first, second = found.layers.values()  # 160 of the classifier's weights read the filter that is gone
    assert (first.total, first.kept, first.effective_kept, first.macs_dense, first.macs_kept) == (
        108,
        81,
        81,
        1728,
        1296,
    )
    assert (second.total, second.kept, second.effective_kept, second.macs_dense) == (640, 640, 480, 640)


def test_a_convolutions_share_counts_once_a_use_when_it_is_used_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.layer(self.layer(x)).flatten(1)

    assert positions(Twice(), (3, 4, 4)) == {"layer.weight": 32}


def test_diagnosing_leaves_the_model_bit_identical():
    model = convolutional()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state, flags = torch.get_rng_state(), [m.training for m in model.modules()]
    diagnose(model, pruning.prune(model, "snip", 0.9, [batch()]).masks, [batch()])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == flags
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("method", ["random", "snip", "synflow"])
def test_effective_density_is_never_above_the_density(method):
    model = convolutional()
    masks = pruning.prune(model, method, 0.97, [batch()]).masks
    alive = effective(model, masks, (3, 8, 8))
    assert all(not (alive[name] & ~mask).any() for name, mask in masks.items())
