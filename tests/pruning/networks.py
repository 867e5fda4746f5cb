"""Small networks and problems whose scores can be worked out, or checked, by hand."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

import pruning
from pruning.masks import Scores
from pruning.problem import Batch, Loss, Problem


def linear(*rows: list[float]) -> nn.Sequential:
    """One linear layer with these weights and no bias."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return nn.Sequential(layer)


def perceptron(*widths: int, seed: int = 0, bias: bool = True, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers from the first width to the last, an activation between them."""
    torch.manual_seed(seed)
    layers = [(nn.Linear(inputs, outputs, bias), activation()) for inputs, outputs in itertools.pairwise(widths)]
    return nn.Sequential(*itertools.chain(*layers))[:-1]


def convolutional(seed: int = 0, width: int = 8) -> nn.Sequential:
    """Convolutions, BatchNorm, max-pooling, dropout, biases and a classifier."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, 4),
    )


class Residual(nn.Module):
    """A stem, a block with a 1×1 shortcut and stride, one with an identity shortcut, a classifier; BatchNorm."""

    def __init__(self, width: int = 8, classes: int = 4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)
        self.down_norm = nn.BatchNorm2d(2 * width)
        self.shortcut = nn.Conv2d(width, 2 * width, 1, stride=2, bias=False)
        self.same = nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)
        self.same_norm = nn.BatchNorm2d(2 * width)
        self.classifier = nn.Linear(2 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(images)))
        x = torch.relu(self.down_norm(self.down(x)) + self.shortcut(x))
        x = torch.relu(self.same_norm(self.same(x)) + x)
        return self.classifier(x.mean((2, 3)))


def residual(seed: int = 0, width: int = 8) -> Residual:
    """A small residual network."""
    torch.manual_seed(seed)
    return Residual(width)


def batch(seed: int = 0, size: int = 16, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Images 3×8×8 and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, 8, 8, generator=generator)
    return images, torch.randint(0, classes, (size,), generator=generator)


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """½ mean‖y − t‖²: its gradients and Hessians can be done in the head."""
    return 0.5 * (outputs - targets).square().sum(1).mean()


def problem(
    model: nn.Module,
    batches: Sequence[Batch] = (),
    loss: Loss = squared,
    seed: int = 0,
    shape: Sequence[int] | None = None,
) -> Problem:
    """A problem as ``prune`` hands it to a method: round one, in whatever mode the model is."""
    made = Problem(model, loss, torch.Generator().manual_seed(seed), shape)
    made.batches, made.round = batches, 1
    return made


def score(name: str, made: Problem, **options: Any) -> Scores:
    """The scores of a registered method."""
    return pruning.find(name).score(made, **options)
