"""A network with some of its channels only, under the same names: what compaction trains, and what scoring may run."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from pruning.compaction.channels import Channels
from pruning.compaction.places import LAYOUTS, Places, cut_out
from pruning.compaction.tracing import bare_copy, deep_copy, signature, trace

WIDTH = 8  # channels that hardware likes to take at once: what widths are rounded up to where time is to be saved


def narrowed(model: nn.Module, channels: Channels, alive: Tensor) -> tuple[nn.Module, Places]:
    """A deep copy with the labels that are ``alive`` only, and where its tensors are in the model.

    Raises:
        ValueError: the model cannot be copied, or its code does something else at these widths: it may ask for them.
    """
    places = _places(channels, alive)
    small = _narrowed(model, channels, alive, places)
    if signature(trace(bare_copy(small), _NarrowDropout)) != channels.signature:
        raise ValueError("this network does something else at other widths")
    return small, places


def macs(channels: Channels, alive: Tensor) -> int:
    """Multiply-accumulates that the layers which may become narrower take for one input, at these widths."""
    return sum(
        layer.positions
        * layer.module.weight[0, 0].numel()
        * int(alive[layer.index].count_nonzero())
        * int(alive[layer.source.index].count_nonzero())
        for layer in channels.layers.values()
    )


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _places(channels: Channels, alive: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """Where what stays of each tensor is in the original, as indices into its first dimensions."""
    places: dict[str, tuple[Tensor, ...]] = {}
    for name, layer in channels.layers.items():
        rows, columns = alive[layer.index], alive[layer.source.index]
        if not (rows.all() and columns.all()):
            places[f"{name}.weight"] = rows.nonzero(), columns.nonzero().squeeze(1)
        if not rows.all():
            places[f"{name}.bias"] = (rows.nonzero().squeeze(1),)
    for name, norm in channels.norms.items():
        kept = alive[norm.source.index]
        if not kept.all():
            each = ("weight", "bias", "running_mean", "running_var")
            places |= {f"{name}.{tensor}": (kept.nonzero().squeeze(1),) for tensor in each}
    return places


def _narrowed(model: nn.Module, channels: Channels, alive: Tensor, places: Places) -> nn.Module:
    """A deep copy that meets its narrower tensors, and dropout, as if they had been copied already."""
    copies: dict[int, Any] = {}
    for name, tensor in tensors_of(model).items():
        if name in places:
            cut = cut_out(tensor, places[name])
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
    """Dropout that draws for every channel of the original, and so drops the same in those that are left."""

    kept: Tensor

    def __init__(self, whole: nn.Module, kept: Tensor):
        super().__init__()
        self.whole = copy.deepcopy(whole)
        self.training = whole.training
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels left, …] to the same."""
        if not self.training:
            return x
        each = x.shape[2:] if type(self.whole) is nn.Dropout else (1,) * (x.ndim - 2)
        layout = LAYOUTS.get(x.ndim, torch.contiguous_format)
        layout = layout if x.is_contiguous(memory_format=layout) and not x.is_contiguous() else torch.contiguous_format
        shape = (len(x), len(self.kept), *each)
        drawn = self.whole(torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout).fill_(1))
        return x.mul_(drawn[:, self.kept]) if getattr(self.whole, "inplace", False) else x * drawn[:, self.kept]
