"""Real trainings, small ones: a VGG of a few thousand weights on scikit-learn's digits. ``from trainings import …``."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import nn

import pruning
from training import data, loop, models, seeding
from training.config import TrainConfig
from training.loop import EpochResult
from training.optimizer import steps_per_epoch

RECIPE = TrainConfig(epochs=3, batch_size=64, learning_rate=0.1, schedule="cosine")


@lru_cache(maxsize=1)
def digits() -> data.Splits:
    config = data.resolve(data.DataConfig("digits", validation=700))  # not to validate on: to be quick
    return data.split(data.load(config), config, 0, "cpu")


def vgg() -> nn.Module:
    """Three convolutions and a classifier: 6,152 prunable weights."""
    with seeding.seeded(0, "weights"):
        return models.build("vgg_digits", classes=10, channels=1, size=8, width=8, depth=3)


def horizon(sparsity: float, recipe: TrainConfig = RECIPE, invert: bool = False) -> pruning.TrainingHorizon:
    steps = steps_per_epoch(len(digits().train), recipe.batch_size)
    return pruning.TrainingHorizon(sparsity, recipe.epochs, steps, torch.Generator().manual_seed(1), invert)


def masking_of(method: str, model: nn.Module, its: pruning.TrainingHorizon, **options: Any) -> pruning.Masking:
    """As a trial makes it."""
    preset = pruning.find(method)
    masks = pruning.prune(model, method, 0.0 if preset.starts_dense else its.sparsity, input_shape=(1, 8, 8)).masks
    return (preset.masking or pruning.FixedMask)(masks, its, **options)


def fit(model: nn.Module, masking: pruning.Masking, recipe: TrainConfig = RECIPE) -> list[list[EpochResult]]:
    """Every training that the masking asks for, epoch by epoch."""
    trainings, first = [], 1
    while first is not None:
        results = loop.train(model, digits(), recipe, 0, masking=masking, device="cpu", first_epoch=first)
        trainings.append(list(results))
        first = masking.after_training(model)
    return trainings


def after_every_step(masking: pruning.Masking, check: Callable[[], None]) -> None:
    """Call ``check`` after every step of the masking."""
    own = masking.after_step

    def both() -> None:
        own()
        check()

    masking.after_step = both


def accuracy(model: nn.Module) -> float:
    """On the test images; chance is 0.1."""
    return loop.evaluate(model, digits().test, device="cpu")[0]
