"""The smaller network that computes the same as a trial's masked one, and what it takes to rebuild it elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

import pruning
from pruning.compaction.compaction import Compaction, try_compact
from pruning.macs import macs, positions
from pruning.masks import Masks
from pruning.named_tensors import named_tensors
from pruning.outputs import logits_of

IMAGES = 16  # random ones, on which both networks are compared


class Width(NamedTuple):
    """One layer or normalisation: its module, its class, and the shapes of its weight here and in the dense network."""

    module: str
    kind: str
    shape: tuple[int, ...]
    dense_shape: tuple[int, ...]


class Logits(nn.Module):
    """A network whose first output is its only one."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """[B, channels, height, width] to [B, classes]."""
        return logits_of(self.network(images))


@dataclass(frozen=True)
class CompactNetwork:
    """A network without the channels that its masks disconnect.

    Attributes:
        model: in evaluation mode; its parameters have the names of the original's.
        widths: of its layers, in the network's order.
        reason: why no channel was removed; None if some were.
        input_shape: of one image.
        weights, weights_dense: in masked tensors, here and in the original.
        macs, macs_dense: multiply-accumulates for one image.
        difference: the largest between a logit of the masked network and one of this, on random images.
        largest: the largest absolute logit of the masked network on them.
    """

    model: nn.Module
    widths: list[Width]
    reason: str | None
    input_shape: tuple[int, ...]
    weights: int
    weights_dense: int
    macs: int
    macs_dense: int
    difference: float
    largest: float


def compact_network(model: nn.Module, masks: Masks, input_shape: tuple[int, ...]) -> CompactNetwork:
    """The compact network of ``model``, whose removed weights are set to zero in place."""
    pruning.apply(model, masks)
    model.eval()
    found = try_compact(model, masks, input_shape)
    small = found.model.eval() if isinstance(found, Compaction) else model
    images = torch.randn(IMAGES, *input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, actual = logits_of(model(images)), logits_of(small(images))
    uses = positions(model, input_shape)
    dense_macs = macs({name: named_tensors(model)[name] for name in uses}, uses, torch.numel)
    total = sum(mask.numel() for mask in masks.values())
    return CompactNetwork(
        model=small,
        widths=_widths(small, named_tensors(model)),
        reason=None if isinstance(found, Compaction) else found.reason,
        input_shape=input_shape,
        weights=found.weights if isinstance(found, Compaction) else total,
        weights_dense=total,
        macs=found.macs if isinstance(found, Compaction) else dense_macs,
        macs_dense=dense_macs,
        difference=float((expected - actual).abs().max()),
        largest=float(expected.abs().max()),
    )


def _widths(small: nn.Module, dense: Mapping[str, Tensor]) -> list[Width]:
    modules = [
        (name, module) for name, module in small.named_modules() if isinstance(getattr(module, "weight", None), Tensor)
    ]
    return [
        Width(
            name,
            type(module).__name__,
            tuple(module.weight.shape),
            tuple(dense[f"{name}.weight" if name else "weight"].shape),
        )
        for name, module in modules
    ]
