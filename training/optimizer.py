"""The optimizer of a recipe, and its learning rate as a pure function of the step."""

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from training.config import TrainConfig


@dataclass(frozen=True)
class OptimizerKind:
    """An optimizer that a recipe may name.

    Attributes:
        kind: torch's class.
        options: fields of the recipe that are its own, called alike in both.
        elementwise: whether a parameter's update depends on its own gradients and values alone, element by element,
            so that a network without some of its channels is trained as the whole one is. Not so where norms over
            tensors count (LARS, LAMB, clipping) or matrices do (Shampoo, Muon).
    """

    kind: type[torch.optim.Optimizer]
    options: tuple[str, ...]
    elementwise: bool


OPTIMIZERS = {
    "sgd": OptimizerKind(torch.optim.SGD, ("momentum", "nesterov"), elementwise=True),
    "adam": OptimizerKind(torch.optim.Adam, (), elementwise=True),
    "adamw": OptimizerKind(torch.optim.AdamW, (), elementwise=True),
}


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters; weight decay on all of them too, as the papers' authors do.

    Fused: a step reads and writes every value once, in one kernel for many tensors.

    Raises:
        ValueError: no parameter requires a gradient.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError("every parameter of this network is frozen (requires_grad is False): nothing can be trained")
    optimizer = OPTIMIZERS[config.optimizer]
    own = {name: getattr(config, name) for name in optimizer.options}
    make = _plain(optimizer.kind)  # type: ignore[arg-type]  # classes can be hashed
    return make(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True, **own)


@functools.cache
def _plain(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """The same optimizer less what torch has put around its methods for the sake of its compiler.

    Who calls these imports the compiler, once in every process, and nobody here compiles an optimizer.
    """
    methods: dict[str, Callable[..., Any]] = {
        name: inspect.unwrap(getattr(kind, name))
        for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    }
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods | {"step": step})


def reads_rate_from_device(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it takes a learning rate that lies on the GPU as it is: torch's fused optimizers do."""
    return all(group.get("fused") for group in optimizer.param_groups)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Optimizer steps an epoch: a last batch of a single image is left out: BatchNorm cannot train on it."""
    full, rest = divmod(images, batch_size)
    return full + (rest > 1 or (rest == 1 and full == 0))


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The rate of an optimizer step; steps count from 0 over the whole training.

    Warm-up climbs in a straight line from zero and reaches the full rate at its last step. After that,
    multistep multiplies by `decay` from the first step after each milestone epoch on, and cosine falls to
    zero at the end:
        rate · (1 + cos(π · progress)) / 2
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "cosine":
        progress = (step - warmup) / max(1, config.epochs * steps_per_epoch - warmup)
        return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2
    if config.schedule == "multistep":
        epochs_done = step // steps_per_epoch
        return config.learning_rate * config.decay ** sum(m <= epochs_done for m in config.milestones)
    return config.learning_rate
