"""Compaction: a smaller dense network that computes and trains exactly as a masked one does, up to rounding.

A channel is *fed* if its value may ever differ from zero, and *read* if a path of kept weights leads from it to the
output. Every channel that is not both is removed, with its weights, biases, BatchNorm parameters and statistics.

Theorem. Assume that removed weights are zero before training and after each step, that the masks never change, and
that the optimizer starts with empty state and is elementwise (SGD with momentum, Adam, AdamW, with or without weight
decay). Then in exact arithmetic, at every step, in train and in eval mode, the compact network has the same output as
the masked one, each of its parameters has the same gradient, and each of its parameters and running statistics has
the same value as in the masked network. In floating point they differ by rounding, as sums contain fewer zeros.

Proof. A channel that is not fed is zero for every input: no kept weight leads into it from a fed channel, and no
constant is added. (A layer's bias there is zero, and so are BatchNorm's bias and running mean, so that BatchNorm's
output is zero too, in either mode; the functions in between have f(0) = 0.) It stays zero if those biases never get a
gradient. A *gate*, a function with f(0) = 0 and f'(0) = 0 such as ReLU, ensures this: every path from a trainable bias
to a kept weight or to the output must contain one. GELU is no gate; behind it, or without an activation function, the
channel counts as fed. (A bias that does not require gradients is a constant.) A weight whose input is zero adds
nothing, and its gradient is zero. A channel that is not read does not change the output, so parameters that affect
nothing but such channels get no gradient. BatchNorm couples examples, not channels.

Some removed parameters are kept weights of the mask: those into channels that are not read, and those from channels
that are not fed. Masked training shrinks them by weight decay, and updates the statistics of the former. Here they
keep their initial values; nothing depends on them. (Gradients of removed weights do count in a norm over all
gradients: clipping by the global norm is not elementwise.)

Channels that are not on a path may be kept too, as happens to the last channel of a layer and with ``multiple_of``:
outputs and gradients are the same. If such a channel is not read, its running statistics are those of its remaining
inputs only.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pruning.compaction.channels import Channels
from pruning.compaction.kept_indices import KeptIndices, cut_out, narrow_state, put_back, widen_state
from pruning.compaction.liveness import fed_and_read, rounded_up
from pruning.compaction.narrowing import narrowed
from pruning.compaction.tracing import CannotCopy
from pruning.macs import macs, positions
from pruning.masks import HasMasks, Masks, apply, check, masks_of
from pruning.named_tensors import named_tensors

MAX_MACS_SHARE = 0.8  # of the dense network's MACs: above it, irregular widths can cost more time than is saved


@dataclass(frozen=True)
class Compaction:
    """A network without the channels that are not fed and read.

    Attributes:
        model: of the same class and with the same parameter names; its removed weights are zero.
        masks: the original masks restricted to its weights, by the same names.
        weights: number of weights in its masked tensors; ``weights_dense``: in those of the original.
        macs: multiply-accumulates for one input; ``macs_dense``: those of the original.
    """

    model: nn.Module
    masks: Masks
    weights: int
    weights_dense: int
    macs: int
    macs_dense: int
    _kept_indices: KeptIndices
    _original_masks: Masks
    _shapes: dict[str, torch.Size]  # of the original's tensors

    @torch.no_grad()
    def restore(self, model: nn.Module) -> None:
        """Copy parameters and buffers into the original model, in place; zero its removed weights.

        Elements of removed channels keep the values that they have there.
        """
        compact = named_tensors(self.model)
        for name, tensor in named_tensors(model).items():
            put_back(tensor, self._kept_indices.get(name, ()), compact[name])
        apply(model, {name: mask.to(named_tensors(model)[name].device) for name, mask in self._original_masks.items()})

    def widen(self, state: dict[str, Any], model: nn.Module) -> dict[str, Any]:
        """Convert a training state to the original's names and shapes. Tensors of unchanged shape are not copied.

        Args:
            state: "model" holds tensors by name, "optimizer" dicts of them by parameter; other entries are unchanged.
            model: the original at the start of training. Elements of removed channels get its values, and zero in the
                optimizer.
        """
        return widen_state(state, self._kept_indices, named_tensors(self.model), named_tensors(model))

    def narrow(self, state: dict[str, Any]) -> dict[str, Any]:
        """The inverse of :meth:`widen`.

        Raises:
            ValueError: the state belongs to another network than the original; the message names the tensor.
        """
        narrowed = narrow_state(state, self._kept_indices, self._shapes)
        # buffers that only the smaller network has are constant: the kept channels of its dropout layers
        constant = {n: tensor.detach() for n, tensor in named_tensors(self.model).items() if n not in self._shapes}
        return {**narrowed, "model": narrowed["model"] | constant}


@dataclass(frozen=True)
class NotCompacted:
    """Why a network is trained with all its channels.

    Attributes:
        reason: in one line.
        avoidable: whether the cause is an object that the model holds and could hold elsewhere, such as a lock.
    """

    reason: str
    avoidable: bool = False


def compact(
    model: nn.Module, masks: Masks | HasMasks, input_shape: Sequence[int], *, multiple_of: int = 1
) -> Compaction | None:
    """Like :func:`try_compact`, but None if nothing can be removed, with a warning if the reason is avoidable.

    Args:
        masks: by parameter name, or what has them: the result of :func:`pruning.prune`.

    Raises:
        ValueError: the masks belong to another network.
    """
    result = try_compact(model, masks_of(masks), input_shape, multiple_of=multiple_of)
    if isinstance(result, NotCompacted):
        if result.avoidable:
            warnings.warn(f"the network is not compacted: {result.reason}", stacklevel=2)
        return None
    return result


def try_compact(
    model: nn.Module, masks: Masks, input_shape: Sequence[int], *, multiple_of: int = 1
) -> Compaction | NotCompacted:
    """The network without the channels that are not fed and read, or why none can safely be removed.

    The model is not modified. Each layer keeps at least one channel. Channels are not removed around grouped and
    transposed convolutions, normalisation other than BatchNorm, functions with f(0) ≠ 0, products, functional dropout,
    and layers that are called twice or share a weight. A model is not compacted at all if torch.fx cannot trace it, if
    it has hooks, or if it cannot be copied, as it holds a lock, a file or an activation with its graph.

    Args:
        model: at initialization.
        masks: by parameter name; weights without a mask count as kept.
        input_shape: of one input, without the batch.
        multiple_of: round every layer's width up to a multiple of this, at most to its original width.

    Raises:
        ValueError: the masks belong to another network.
    """
    check(named_tensors(model), masks)
    try:
        channels = Channels(model, input_shape)
        fed, read = fed_and_read(channels, masks)
        alive = rounded_up(channels, fed & read, multiple_of)
        if alive.all():
            return NotCompacted("every channel may carry something")
        small, indices = narrowed(model, channels, alive)
    except ValueError as error:
        return NotCompacted(str(error), avoidable=isinstance(error, CannotCopy))
    small_masks = {name: cut_out(mask, indices.get(name, ())) for name, mask in masks.items()}
    apply(small, small_masks)
    uses, original, cut = positions(small, input_shape), named_tensors(model), named_tensors(small)
    return Compaction(
        model=small,
        masks=small_masks,
        weights=sum(mask.numel() for mask in small_masks.values()),
        weights_dense=sum(mask.numel() for mask in masks.values()),
        macs=macs({name: cut[name] for name in uses}, uses, torch.numel),
        macs_dense=macs({name: original[name] for name in uses}, uses, torch.numel),
        _kept_indices=indices,
        _original_masks=masks,
        _shapes={name: tensor.shape for name, tensor in original.items()},
    )
