"""A copy of a network with some of its channels, under the same names, for compact training and for scoring."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from pruning.compaction.channels import Channels
from pruning.compaction.kept_indices import LAYOUTS, KeptIndices, cut_out
from pruning.compaction.tracing import bare_copy, deep_copy, signature, trace
from pruning.named_tensors import named_tensors

WIDTH = 8  # widths are rounded up to a multiple of this, for hardware efficiency


def narrowed(model: nn.Module, channels: Channels, alive: Tensor) -> tuple[nn.Module, KeptIndices]:
    """A deep copy with only the channels whose labels are ``alive``, and the indices of its elements in the model.

    Raises:
        ValueError: the model cannot be copied, or its graph differs at these widths, as its code may depend on them.
    """
    indices = _kept_indices(channels, alive)
    small = _narrow_copy(model, channels, alive, indices)
    if signature(trace(bare_copy(small), _NarrowDropout)) != channels.signature:
        raise ValueError("this network computes something else at other widths")
    return small, indices


def macs(channels: Channels, alive: Tensor) -> int:
    """Multiply-accumulates of the layers that can become narrower, for one input, at these widths."""
    return sum(
        layer.positions
        * layer.module.weight[0, 0].numel()
        * int(alive[layer.index].count_nonzero())
        * int(alive[layer.source.index].count_nonzero())
        for layer in channels.layers.values()
    )


def _kept_indices(channels: Channels, alive: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """For each narrowed tensor, the kept indices into its first dimensions."""
    indices: dict[str, tuple[Tensor, ...]] = {}
    for name, layer in channels.layers.items():
        rows, columns = alive[layer.index], alive[layer.source.index]
        if not (rows.all() and columns.all()):
            indices[f"{name}.weight"] = rows.nonzero(), columns.nonzero().squeeze(1)
        if not rows.all():
            indices[f"{name}.bias"] = (rows.nonzero().squeeze(1),)
    for name, norm in channels.norms.items():
        kept = alive[norm.source.index]
        if not kept.all():
            tensors = ("weight", "bias", "running_mean", "running_var")
            indices |= {f"{name}.{tensor}": (kept.nonzero().squeeze(1),) for tensor in tensors}
    return indices


def _narrow_copy(model: nn.Module, channels: Channels, alive: Tensor, indices: KeptIndices) -> nn.Module:
    """A deep copy into which ``deepcopy``'s memo puts the narrower tensors and dropout layers."""
    copies: dict[int, Any] = {}
    for name, tensor in named_tensors(model).items():
        if name in indices:
            cut = cut_out(tensor, indices[name])
            copies[id(tensor)] = nn.Parameter(cut, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else cut
    device = next(model.parameters()).device
    for name, source in channels.dropouts.items():
        kept = alive[source.index]
        if not kept.all():
            copies[id(model.get_submodule(name))] = _NarrowDropout(model.get_submodule(name), kept.to(device))
    small = deep_copy(model, copies)
    for name, layer in channels.layers.items():
        kind = "features" if isinstance(layer.module, nn.Linear) else "channels"
        vars(small.get_submodule(name)).update(
            {
                f"out_{kind}": int(alive[layer.index].count_nonzero()),
                f"in_{kind}": int(alive[layer.source.index].count_nonzero()),
            }
        )
    for name, norm in channels.norms.items():
        vars(small.get_submodule(name))["num_features"] = int(alive[norm.index].count_nonzero())
    return small


class _NarrowDropout(nn.Module):
    """Dropout that draws for all channels of the original, so that the kept ones get the same draws."""

    kept: Tensor

    def __init__(self, original: nn.Module, kept: Tensor):
        super().__init__()
        self.original = copy.deepcopy(original)
        self.training = original.training
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, kept channels, …] to the same shape."""
        if not self.training:
            return x
        positions = x.shape[2:] if type(self.original) is nn.Dropout else (1,) * (x.ndim - 2)
        layout = LAYOUTS.get(x.ndim, torch.contiguous_format)
        layout = layout if x.is_contiguous(memory_format=layout) and not x.is_contiguous() else torch.contiguous_format
        shape = (len(x), len(self.kept), *positions)
        drawn = self.original(torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout).fill_(1))
        return x.mul_(drawn[:, self.kept]) if getattr(self.original, "inplace", False) else x * drawn[:, self.kept]
