"""The plain ways that our times are compared with: they do the same work."""

from pathlib import Path

import pytest
import torch
from torch import nn

import pruning
from benchmarks import plain, streamed
from pruning.masks import kept_count
from pruning.schedules import kept_counts

pytestmark = pytest.mark.slow  # launches, trainings or processes


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(72, 10),
    )  # fmt: skip
    return nn.Sequential(*layers).double()


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(step)
    images = torch.randn(32, 3, 8, 8, generator=draws, dtype=torch.float64)
    return images, torch.randint(10, (32,), generator=draws)


@pytest.mark.parametrize(("rounds", "sparsity"), [(1, 0.9), (5, 0.95)])
def test_the_authors_way_and_ours_come_to_the_same_masks(rounds: int, sparsity: float) -> None:
    model, drawn = network(), []
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if "running" not in name}
    total = sum(weight.numel() for weight in pruning.prunable(model).values())
    counts = kept_counts(total, kept_count(total, sparsity), rounds, "exponential")

    def draw(step: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        drawn.append(batch(step))
        return drawn[-1:]

    ours = pruning.prune(model, "force", sparsity, draw, rounds=rounds, loss="logit").masks
    assert len(drawn) == rounds
    remaining = iter(drawn)
    theirs = plain.force(model, lambda: remaining, counts)
    assert [int(sum(mask.sum() for mask in theirs))] == counts[-1:]
    assert all(torch.equal(mine.double(), other.double()) for mine, other in zip(ours.values(), theirs, strict=True))
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in before.items() if "num" not in name)


def test_removed_weights_stay_removed_while_the_authors_way_trains() -> None:
    model = network()
    masks = [(torch.rand_like(layer.weight) < 0.5).double() for layer in plain.layers(model)]
    plain.block(model, masks)
    before = [layer.weight.clone() for layer in plain.layers(model)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    plain.epoch(model, optimizer, [batch(step) for step in range(3)], "cpu")
    for layer, mask, old in zip(plain.layers(model), masks, before, strict=True):
        assert (layer.weight[mask == 0] == 0).all()
        assert (layer.weight != old)[mask == 1].all()


def test_both_pipelines_of_a_jpeg_tree_are_timed(tmp_path: Path) -> None:
    ratio, ours, theirs = streamed.tree(tmp_path, images=4, pairs=1)
    assert ratio.value == pytest.approx(ours.value / theirs.value)
    assert ours.unit == theirs.unit == "images/s"
