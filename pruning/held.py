"""Hold removed weights at zero while a network is trained by any loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from pruning.masks import HasMasks, Masks, check, masks_of


@contextmanager
def held(model: nn.Module, masks: Masks | HasMasks, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Keep the removed weights of ``model`` at exactly zero, before and after every step of ``optimizer`` inside.

    At the end, also after an error, the hook on the optimizer is removed. The weights stay as they are then.

    Args:
        model: what is trained; of a network that is wrapped or compiled, the network inside.
        masks: by parameter name, on any device, or what has them: the result of :func:`pruning.prune`.
        optimizer: any; its steps may be captured, scaled or scheduled.

    Raises:
        ValueError: the masks belong to another network, or the optimizer has none of the masked weights.
    """
    weights = dict(model.named_parameters())
    masks = {name: mask.to(weights[name].device) if name in weights else mask for name, mask in masks_of(masks).items()}
    check(weights, masks)
    trained = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    if masks and not any(id(weights[name]) in trained for name in masks):
        raise ValueError("the optimizer has none of the masked weights: it was made for another model")
    removed = [(weights[name], ~mask) for name, mask in masks.items()]

    @torch.no_grad()
    def zero(*_: Any) -> None:
        for weight, gone in removed:
            weight.masked_fill_(gone, 0)  # a product would keep what is not finite

    zero()
    hook = optimizer.register_step_post_hook(zero)
    try:
        yield
    finally:
        hook.remove()
