"""Small networks whose scores can be worked out, or checked, by hand."""

import torch
from torch import Tensor, nn


def linear(*rows: list[float]) -> nn.Sequential:
    """One linear layer with these weights and no bias."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return nn.Sequential(layer)


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


def batch(seed: int = 0, size: int = 16, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Images 3×8×8 and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, 8, 8, generator=generator)
    return images, torch.randint(0, classes, (size,), generator=generator)
