"""Which channels of a masked network are fed (their value may differ from zero) and which are read (a path of kept
weights leads from them to the output).
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from pruning.compaction.channels import FIXED, Channels, TracedLayer
from pruning.masks import Masks

Connections = tuple[
    Tensor, Tensor, Tensor
]  # [targets, sources]: 1 if a weight is kept between them, else 0; labels of both


def fed_and_read(channels: Channels, masks: Masks) -> tuple[Tensor, Tensor]:
    """Whether each label is fed, and whether it is read. Weights without a mask count as kept."""
    layers = [
        (
            _connections(layer, masks.get(f"{name}.weight")),
            channels.rooted(layer.source.index),
            channels.rooted(layer.index),
        )
        for name, layer in channels.layers.items()
    ]
    fed, read = _fed_by_constants(channels, layers), torch.zeros(channels.count, dtype=torch.bool)
    read[FIXED] = True
    _propagate(fed, layers)  # one pass is enough, as the layers are in graph order
    back = [(kept.T, outputs, inputs) for kept, inputs, outputs in reversed(layers)]
    while _propagate(read, back):  # one pass suffices for the outputs; the others keep running statistics exact
        pass
    return fed, read


def rounded_up(channels: Channels, alive: Tensor, multiple_of: int) -> Tensor:
    """Which labels to keep: the alive ones, and more to round each layer's width up to a multiple.

    A layer that shares labels with another one may end up with more.
    """
    # a single channel has no memory format, on which the order of a dropout's draws depends
    least = 2 if any(len(source.shape) > 2 for source in channels.dropouts.values()) else 1
    alive = alive.clone()
    for layer in channels.layers.values():
        labels = channels.rooted(layer.index)
        count = int(alive[labels].count_nonzero())
        wanted = -(-max(count, least) // multiple_of) * multiple_of
        alive[labels[~alive[labels]][: wanted - count]] = True
    return alive[channels.rooted()]


def _connections(layer: TracedLayer, mask: Tensor | None) -> Tensor:
    """1 where any weight is kept between two channels, else 0: float [outputs, inputs], for a matrix product."""
    if mask is None:
        return torch.ones(layer.module.weight.shape[:2])
    # as bytes: torch reduces boolean channels-last tensors slowly
    connected = mask.view(torch.uint8).amax(tuple(range(2, mask.ndim))) if mask.ndim > 2 else mask
    return connected.cpu().float()


def _fed_by_constants(channels: Channels, layers: list[Connections]) -> Tensor:
    """The labels that are fed without a path from the input: by a constant, or by a trainable shift."""
    fed = torch.zeros(channels.count, dtype=torch.bool)
    fed[FIXED] = True
    for layer, (kept, inputs, outputs) in zip(channels.layers.values(), layers, strict=True):
        fed[outputs[_nonzero(layer.module.bias, outputs)]] = True
        fed[inputs[kept.any(0) & layer.source.shifted]] = True
    for norm in channels.norms.values():
        labels = channels.rooted(norm.source.index)
        fed[labels[_nonzero(norm.module.bias, labels) | _nonzero(norm.module.running_mean, labels)]] = True
    return fed


def _nonzero(values: Tensor | None, labels: Tensor) -> Tensor:
    return torch.zeros_like(labels, dtype=torch.bool) if values is None else values.detach().cpu() != 0


def _propagate(marked: Tensor, layers: Iterable[Connections]) -> bool:
    """Mark the targets of marked sources, layer by layer. True if any label was newly marked."""
    before = marked.clone()
    for kept, sources, targets in layers:
        marked[targets[kept @ marked[sources].float() > 0]] = True
    return not marked.equal(before)
