"""Trainings by hand: one layer, one step at a time, with given gradients. ``from steps import …``."""

import torch
from torch import nn

import pruning


def bits(*values: int) -> pruning.Masks:
    return {"0.weight": torch.tensor([values], dtype=torch.bool)}


def short(epochs: int = 1, steps: int = 8, seed: int = 0) -> pruning.TrainingHorizon:
    return pruning.TrainingHorizon(0.5, epochs, steps, torch.Generator().manual_seed(seed))


def still(model: nn.Module, momentum: float = 0.0) -> torch.optim.Optimizer:
    """An optimizer with learning rate 0, so that weights keep the values written below."""
    return torch.optim.SGD(model.parameters(), lr=0.0, momentum=momentum)


def step(model: nn.Module, masking: pruning.Masking, optimizer: torch.optim.Optimizer, *gradient: float) -> None:
    model[0].weight.grad = torch.tensor([gradient])
    masking.before_step()
    optimizer.step()
    masking.after_step()


def active(masking: pruning.Masking) -> list[int]:
    return masking.masks["0.weight"].flatten().nonzero().flatten().tolist()
