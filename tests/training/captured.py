"""Trainings that are captured or not, and all they end with. ``from .captured import …``."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

import pruning
from training import seeding
from training.config import TrainConfig
from training.data import Splits
from training.loop import EpochResult, Training

from .stopping import bits

QUICK = TrainConfig(epochs=4, batch_size=16, learning_rate=0.05, schedule="cosine", warmup_epochs=0.5)


class Counts(nn.Module):
    """Counts its batches in a Python attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return images * (1 + 1 / self.calls)


class Draws(nn.Module):
    """Draws from Python's generator."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images * random.random()


def network(*more: nn.Module, dropout: float = 0.3) -> nn.Module:
    with seeding.seeded(0, "weights"):
        return nn.Sequential(
            *more, nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout),
            nn.Linear(4 * 36, 4),
        )  # fmt: skip


@dataclass
class Ended:
    """A training that has ended: its results without what the clock says, and the bits of its state."""

    training: Training
    results: list[EpochResult]
    bits: dict[str, str]

    @property
    def outcome(self) -> tuple[list[EpochResult], dict[str, str]]:
        return self.results, self.bits


Mask = Callable[[nn.Module, Splits, str], Any]


def trained(
    splits: Splits,
    config: TrainConfig = QUICK,
    model: nn.Module | None = None,
    masking: Mask | None = None,
    device: str = "cpu",
    **options: Any,
) -> Ended:
    model = model or network()
    model.to(device)
    its = masking(model, splits, device) if masking else None
    training = Training(model, splits, config, 0, masking=its, device=device, **options)
    results = [replace(result, images_per_second=0, epoch_seconds=0) for result in training.run()]
    return Ended(training, results, bits(on_cpu(training.state())))


def on_cpu(value: Any) -> Any:
    """A state with all its tensors on the CPU."""
    if isinstance(value, dict):
        return {key: on_cpu(part) for key, part in value.items()}
    return value.cpu() if isinstance(value, torch.Tensor) else value


def masked(method: str, **options: Any) -> Mask:
    """The masking of a method at half of all weights."""

    def make(model: nn.Module, splits: Splits, device: str = "cpu") -> pruning.Masking:
        preset = pruning.find(method)
        masks = pruning.prune(model, method, 0.5, lambda step: []).masks
        if preset.masking is None:
            return pruning.FixedMask(masks)
        generator = torch.Generator().manual_seed(0)
        return preset.masking(masks, pruning.TrainingHorizon(0.5, QUICK.epochs, 4, generator), **options)

    return make
