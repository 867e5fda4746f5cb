"""What a mask does to a network."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import batch, convolutional, linear
from torch import nn

import pruning
from pruning.diagnostics import diagnose, effective, positions
from pruning.masks import count, full


def reachable(masks: list[torch.Tensor]) -> list[torch.Tensor]:
    """Brute force on a stack of linear layers: walk forward from the inputs and back from the outputs."""
    forward = [torch.ones(masks[0].shape[1], dtype=torch.bool)]
    for mask in masks:
        forward.append((mask & forward[-1]).any(1))
    backward = torch.ones(masks[-1].shape[0], dtype=torch.bool)
    alive = []
    for mask, inputs in zip(reversed(masks), reversed(forward[:-1]), strict=True):
        alive.append(mask & inputs & backward[:, None])
        backward = (mask & backward[:, None]).any(0)
    return alive[::-1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=6), st.floats(0.05, 0.9), st.integers(0, 10**6))
def test_effective_weights_are_those_on_a_path_from_input_to_output(widths, density, seed):
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    masks = {name: torch.rand(w.shape) < density for name, w in pruning.prunable(model).items()}
    alive = effective(model, masks, (widths[0],))
    for found, expected in zip(alive.values(), reachable(list(masks.values())), strict=True):
        assert torch.equal(found, expected)


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
    assert (found.effective_sparsity, found.empty_layers) == (1.0, 1)


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
