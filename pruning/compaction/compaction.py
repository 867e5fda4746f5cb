"""Compaction: the smaller dense network that computes what a masked one does, and trains as it does.

A channel is *fed* if its value may ever differ from zero, *read* if a path of kept weights leads from it to the
output. Every other channel is dropped, with the weights, biases, BatchNorm parameters and statistics that it has.

Theorem. Let removed weights be zero, before training and after each step, the masks never change, the optimizer start
afresh and be elementwise (SGD with momentum, Adam, AdamW, with or without weight decay). Then in exact arithmetic, at
every step, in train and in eval mode, the compact network has the output of the masked one, every parameter in it the
gradient, and every parameter and running statistic in it the value of its original. In floating point they differ by
rounding: sums have fewer zeros in them.

Why. A channel that is not fed is zero for every input. No kept weight leads into it from a fed one, no constant is
added: a layer's bias there is zero, and so are BatchNorm's bias and running mean, whose output is then zero too, in
either mode; functions between have f(0) = 0. It stays so if those biases get no gradient, ever. A *gate*, that is
f(0) = 0 and f'(0) = 0 like ReLU, sees to that: a bias that trains must meet one on each way to a kept weight or to the
output. With GELU, or without an activation, there is none: the channel counts as fed. (A bias that does not require
gradients is a constant.) A weight that reads zero adds nothing, and its gradient is zero. A channel that is not read
changes no output, so nothing that only it depends on gets a gradient. BatchNorm couples examples, not channels.

What is dropped still has kept weights: into channels that are not read, from channels that are not fed. Masked
training shrinks those by weight decay, and keeps statistics for the former. Here they keep the values they had;
nothing depends on them. (A gradient of removed weights does count in a norm over all gradients: clipping by the
global norm is not elementwise.)

Any channels may stay beside those on a path, as the last one of a layer does, and as ``multiple_of`` has it: outputs
and gradients are the same. Running statistics of such a channel, if it is not read, are of what is left of its inputs.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pruning.compaction.channels import Channels
from pruning.compaction.liveness import fed_and_read, rounded_up
from pruning.compaction.narrowing import narrowed, tensors_of
from pruning.compaction.places import Places, cut_out, narrow_state, put_back, widen_state
from pruning.compaction.tracing import CannotCopy
from pruning.macs import macs, positions
from pruning.masks import Masks, apply, check

PAYS = 0.8  # of the dense network's multiply-accumulates: above it, odd widths can cost what fewer of them save


@dataclass(frozen=True)
class Compaction:
    """A network without its dead channels.

    Attributes:
        model: of the same class and with the same parameter names; its removed weights are zero.
        masks: cut to it, by the same names.
        weights: of its masked tensors; ``weights_dense``: of the original's.
        macs: multiply-accumulates that it takes for one input; ``macs_dense``: that the original takes.
    """

    model: nn.Module
    masks: Masks
    weights: int
    weights_dense: int
    macs: int
    macs_dense: int
    _places: Places
    _whole_masks: Masks
    _shapes: dict[str, torch.Size]  # of the original's tensors

    @torch.no_grad()
    def restore(self, model: nn.Module) -> None:
        """Write parameters and buffers back to where they were in the original, in place; zero removed weights.

        What was dropped keeps the value that it has there.
        """
        compact = tensors_of(self.model)
        for name, tensor in tensors_of(model).items():
            put_back(tensor, self._places.get(name, ()), compact[name])
        apply(model, {name: mask.to(tensors_of(model)[name].device) for name, mask in self._whole_masks.items()})

    def widen(self, state: dict[str, Any], model: nn.Module) -> dict[str, Any]:
        """A training's state as that of the original, by its names and in its shapes; what is not cut is not copied.

        Args:
            state: "model" has tensors by name, "optimizer" dicts of them by parameter; whatever else passes through.
            model: the original at the start of training. What was dropped has the values that it has there, and zero
                in the optimizer.
        """
        return widen_state(state, self._places, tensors_of(self.model), tensors_of(model))

    def narrow(self, state: dict[str, Any]) -> dict[str, Any]:
        """What :meth:`widen` was given, from what it gave.

        Raises:
            ValueError: the state is of another network than the original; it says where.
        """
        narrowed = narrow_state(state, self._places, self._shapes)
        # what the original does not have is constant: which channels a dropout has left
        constant = {n: tensor.detach() for n, tensor in tensors_of(self.model).items() if n not in self._shapes}
        return {**narrowed, "model": narrowed["model"] | constant}


@dataclass(frozen=True)
class Whole:
    """A network that stays whole.

    Attributes:
        reason: in one line.
        avoidable: whether it is for something that the network keeps, and that could be kept elsewhere.
    """

    reason: str
    avoidable: bool = False


def compact(model: nn.Module, masks: Masks, input_shape: Sequence[int], *, multiple_of: int = 1) -> Compaction | None:
    """What :func:`compacted` gives; None where the network stays whole, with a warning where that is avoidable.

    Raises:
        ValueError: the masks belong to another network.
    """
    found = compacted(model, masks, input_shape, multiple_of=multiple_of)
    if isinstance(found, Whole):
        if found.avoidable:
            warnings.warn(f"compaction leaves the network whole: {found.reason}", stacklevel=2)
        return None
    return found


def compacted(
    model: nn.Module, masks: Masks, input_shape: Sequence[int], *, multiple_of: int = 1
) -> Compaction | Whole:
    """The network without the channels that carry nothing, or why nothing can be dropped for certain.

    The model is not written to. Each layer keeps at least one channel. Whole stay: what torch.fx cannot trace, what
    is around grouped and transposed convolutions, normalisation other than BatchNorm, functions with f(0) ≠ 0,
    products, functional dropout, and layers that are called twice or share a weight. So do a model with hooks and one
    that cannot be copied: it keeps a lock, a file, or an activation with its graph.

    Args:
        model: at initialization.
        masks: by parameter name; what they do not name is kept.
        input_shape: of one input, without the batch.
        multiple_of: round the channels of every layer up, as far as it has them.

    Raises:
        ValueError: the masks belong to another network.
    """
    check(tensors_of(model), masks)
    try:
        channels = Channels(model, input_shape)
        fed, read = fed_and_read(channels, masks)
        alive = rounded_up(channels, fed & read, multiple_of)
        if alive.all():
            return Whole("every channel may carry something")
        small, places = narrowed(model, channels, alive)
    except ValueError as error:
        return Whole(str(error), avoidable=isinstance(error, CannotCopy))
    small_masks = {name: cut_out(mask, places.get(name, ())) for name, mask in masks.items()}
    apply(small, small_masks)
    uses, whole, cut = positions(small, input_shape), tensors_of(model), tensors_of(small)
    return Compaction(
        model=small,
        masks=small_masks,
        weights=sum(mask.numel() for mask in small_masks.values()),
        weights_dense=sum(mask.numel() for mask in masks.values()),
        macs=macs({name: cut[name] for name in uses}, uses, torch.numel),
        macs_dense=macs({name: whole[name] for name in uses}, uses, torch.numel),
        _places=places,
        _whole_masks=masks,
        _shapes={name: tensor.shape for name, tensor in whole.items()},
    )
