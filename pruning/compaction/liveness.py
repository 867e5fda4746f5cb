"""Which channels of a masked network live: fed, when their value may ever differ from zero, and read, when a path of
kept weights leads from them to the output.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from pruning.compaction.channels import WHOLE, Channels, Layer
from pruning.masks import Masks

Ways = tuple[Tensor, Tensor, Tensor]  # 1 where a weight is kept between [targets, sources], else 0; labels of both


def fed_and_read(channels: Channels, masks: Masks) -> tuple[Tensor, Tensor]:
    """Whether each label is fed, and whether it is read. What the masks do not name is kept."""
    layers = [
        (
            _kept(layer, masks.get(f"{name}.weight")),
            channels.rooted(layer.source.index),
            channels.rooted(layer.index),
        )
        for name, layer in channels.layers.items()
    ]
    fed, read = _constants(channels, layers), torch.zeros(channels.count, dtype=torch.bool)
    read[WHOLE] = True
    _spread(fed, layers)  # in the order of the graph, once is enough
    back = [(kept.T, outputs, inputs) for kept, inputs, outputs in reversed(layers)]
    while _spread(read, back):  # for outputs once would do; so what is read early has its statistics later on, too
        pass
    return fed, read


def rounded_up(channels: Channels, alive: Tensor, multiple_of: int) -> Tensor:
    """Whether to keep each label: those alive, and more, so that every layer has a multiple of channels, or at least
    that where it shares some with another.
    """
    # One channel alone has no memory format, on which the order of a dropout's draws depends
    least = 2 if any(len(source.shape) > 2 for source in channels.dropouts.values()) else 1
    alive = alive.clone()
    for layer in channels.layers.values():
        labels = channels.rooted(layer.index)
        count = int(alive[labels].count_nonzero())
        wanted = -(-max(count, least) // multiple_of) * multiple_of
        alive[labels[~alive[labels]][: wanted - count]] = True
    return alive[channels.rooted()]


def _kept(layer: Layer, mask: Tensor | None) -> Tensor:
    """1 where any weight is kept between two channels, else 0: [outputs, inputs], which go with a product."""
    if mask is None:
        return torch.ones(layer.module.weight.shape[:2])
    # of bytes: for booleans torch has no fast way through a channels-last tensor
    found = mask.view(torch.uint8).amax(tuple(range(2, mask.ndim))) if mask.ndim > 2 else mask
    return found.cpu().float()


def _constants(channels: Channels, layers: list[Ways]) -> Tensor:
    """The labels that are fed without a path from the input: by a constant, or by a shift that may move."""
    fed = torch.zeros(channels.count, dtype=torch.bool)
    fed[WHOLE] = True
    for layer, (kept, inputs, outputs) in zip(channels.layers.values(), layers, strict=True):
        fed[outputs[_nonzero(layer.module.bias, outputs)]] = True
        fed[inputs[kept.any(0) & layer.source.shifted]] = True
    for norm in channels.norms.values():
        labels = channels.rooted(norm.source.index)
        fed[labels[_nonzero(norm.module.bias, labels) | _nonzero(norm.module.running_mean, labels)]] = True
    return fed


def _nonzero(values: Tensor | None, labels: Tensor) -> Tensor:
    return torch.zeros_like(labels, dtype=torch.bool) if values is None else values.detach().cpu() != 0


def _spread(marked: Tensor, layers: Iterable[Ways]) -> bool:
    """Mark the targets of marked sources, layer by layer; whether any is new."""
    before = marked.clone()
    for kept, sources, targets in layers:
        marked[targets[kept @ marked[sources].float() > 0]] = True
    return not marked.equal(before)
