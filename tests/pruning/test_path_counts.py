"""Nodes and paths by hand and by multiplying masks."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from pruning.path_counts import effective_nodes, log_paths
from pruning.paths import effective


def masks_of(model: nn.Module, density: float = 0.5, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.rand(p.shape, generator=generator) < density for n, p in model.named_parameters() if p.ndim > 1}


def perceptron() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)
    )


@pytest.mark.parametrize("seed", range(4))
def test_paths_of_a_perceptron_are_counted_one_by_one(seed: int) -> None:
    model = perceptron()
    masks = masks_of(model, 0.4, seed)
    first, second, third = (mask.tolist() for mask in masks.values())
    ways = itertools.product(range(4), range(5), range(6), range(3))
    count = sum(first[b][a] and second[c][b] and third[d][c] for a, b, c, d in ways)
    found = log_paths(model, masks, (4,))
    assert (found is None) if count == 0 else 10**found == pytest.approx(count)


def test_paths_of_a_dense_convolution_are_those_of_its_positions_averaged_by_pooling() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    masks = masks_of(model, 1.1)
    assert 10 ** log_paths(model, masks, (2, 5, 5)) == pytest.approx(2 * 9 * 3 * 4)  # each position sees 18 inputs


def test_a_shortcut_adds_paths() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x + torch.relu(self.inner(x)))

    model = Residual()
    assert 10 ** log_paths(model, masks_of(model, 1.1), (3,)) == pytest.approx((3 + 9) * 2)


def test_weights_biases_and_statistics_of_the_network_do_not_count_and_stay() -> None:
    model = perceptron()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    masks = masks_of(model, 0.8)
    found = log_paths(model, masks, (4,))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.mul_(-3).add_(7)
    assert log_paths(model, masks, (4,)) == found


def test_without_a_path_and_where_outputs_are_not_proportional_there_is_no_number() -> None:
    model = perceptron()
    nothing = {name: torch.zeros_like(mask) for name, mask in masks_of(model).items()}
    assert log_paths(model, nothing, (4,)) is None
    for layer in (nn.Softmax(1), nn.LayerNorm(6), nn.Sigmoid()):
        other = nn.Sequential(nn.Linear(4, 6), layer, nn.Linear(6, 2))
        assert log_paths(other, masks_of(other, 1.1), (4,)) is None


def test_a_network_that_cannot_run_in_float64_has_no_number_and_raises_nothing() -> None:
    class Single(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.float())

    model = Single(3, 2)
    assert log_paths(model, masks_of(model), (3,)) is None


def test_a_deep_network_exceeds_float32() -> None:
    model = nn.Sequential(*(nn.Linear(100, 100, bias=False) for _ in range(40)))
    assert log_paths(model, masks_of(model, 1.1), (100,)) == pytest.approx(2 * 41)


def test_effective_nodes_are_those_that_an_effective_weight_leads_into() -> None:
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False))
    masks = {
        "0.weight": torch.tensor([[1, 0], [1, 1], [0, 0]]).bool(),
        "2.weight": torch.tensor([[0, 1, 1], [0, 0, 1]]).bool(),
    }
    alive = effective(model, masks, (2,))
    assert effective_nodes(model, alive) == 1 + 1  # hidden 0 leads nowhere, hidden 2 and output 1 get nothing
    assert effective_nodes(model, masks) == 2 + 2


def test_nodes_of_a_transposed_convolution_are_its_output_channels() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 6, 2, groups=2, bias=False))
    mask = torch.zeros(4, 3, 2, 2, dtype=torch.bool)
    mask[0, 1, 0, 0] = mask[1, 1, 1, 1] = mask[2, 1, 0, 0] = True  # channel 1 of the first group twice, 4 = 3 + 1 once
    assert effective_nodes(model, {"0.weight": mask}) == 2


def test_log_paths_of_one_kept_chain_is_zero() -> None:
    model = perceptron()
    masks = {name: torch.zeros_like(mask) for name, mask in masks_of(model).items()}
    for mask in masks.values():
        mask[0, 0] = True
    assert log_paths(model, masks, (4,)) == pytest.approx(0, abs=1e-9)
    assert math.isclose(effective_nodes(model, effective(model, masks, (4,))), 3)
