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

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pruning.channels import WHOLE, Channels, Layer
from pruning.diagnostics import positions
from pruning.masks import Masks, apply
from pruning.places import LAYOUTS, Places, cut_out, narrow_state, put_back, widen_state
from pruning.tracing import bare_copy, signature, trace

Ways = tuple[Tensor, Tensor, Tensor]  # whether a weight is kept between [targets, sources]; labels of both
WIDTH = 8  # channels that hardware likes to take at once: what multiple_of is in a trial
PAYS = 0.8  # of the dense network's multiply-accumulates: above it, odd widths can cost what fewer of them save


@dataclass(frozen=True)
class Compaction:
    """A network without its dead channels.

    Attributes:
        model: of the same class and with the same parameter names; its removed weights are zero.
        masks: cut to it, by the same names.
        weights: prunable weights in it; ``weights_dense``: in the original.
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
        compact = _tensors(self.model)
        for name, tensor in _tensors(model).items():
            put_back(tensor, self._places.get(name, ()), compact[name])
        apply(model, {name: mask.to(_tensors(model)[name].device) for name, mask in self._whole_masks.items()})

    def widen(self, state: dict[str, Any], model: nn.Module) -> dict[str, Any]:
        """A training's state as that of the original, by its names and in its shapes; what is not cut is not copied.

        Args:
            state: "model" has tensors by name, "optimizer" dicts of them by parameter; whatever else passes through.
            model: the original at the start of training. What was dropped has the values that it has there, and zero
                in the optimizer.
        """
        return widen_state(state, self._places, _tensors(self.model), _tensors(model))

    def narrow(self, state: dict[str, Any]) -> dict[str, Any]:
        """What :meth:`widen` was given, from what it gave.

        Raises:
            ValueError: the state is of another network than the original; it says where.
        """
        narrowed = narrow_state(state, self._places, self._shapes)
        # what the original does not have is constant: which channels a dropout has left
        constant = {n: tensor.detach() for n, tensor in _tensors(self.model).items() if n not in self._shapes}
        return {**narrowed, "model": narrowed["model"] | constant}


def compact(model: nn.Module, masks: Masks, input_shape: Sequence[int], *, multiple_of: int = 1) -> Compaction | None:
    """The network without the channels that carry nothing; None where nothing can be dropped for certain.

    The model is not written to. Each layer keeps at least one channel. Whole stay: what torch.fx cannot trace, what
    is around grouped and transposed convolutions, normalisation other than BatchNorm, functions with f(0) ≠ 0,
    products, functional dropout, and layers that are called twice or share a weight. So does a model with hooks.

    Args:
        model: at initialization.
        masks: by parameter name; what they do not name is kept.
        input_shape: of one input, without the batch.
        multiple_of: round the channels of every layer up, as far as it has them.

    Raises:
        ValueError: the masks belong to another network.
    """
    try:
        channels = Channels(model, input_shape)
    except ValueError:
        return None
    alive = _alive(channels, masks, multiple_of)[channels.rooted()]
    if alive.all():
        return None
    places = _places(channels, alive)
    small = _narrowed(model, channels, alive, places)
    small_masks = {name: cut_out(mask, places.get(name, ())) for name, mask in masks.items()}
    apply(small, small_masks)
    if not _does_the_same(small, channels):
        return None
    uses, whole, cut = positions(small, input_shape), _tensors(model), _tensors(small)
    return Compaction(
        model=small,
        masks=small_masks,
        weights=sum(cut[name].numel() for name in uses),
        weights_dense=sum(whole[name].numel() for name in uses),
        macs=sum(count * cut[name].numel() for name, count in uses.items()),
        macs_dense=sum(count * whole[name].numel() for name, count in uses.items()),
        _places=places,
        _whole_masks=masks,
        _shapes={name: tensor.shape for name, tensor in whole.items()},
    )


def _does_the_same(small: nn.Module, channels: Channels) -> bool:
    """Whether the model's code does at these widths what it did before: it may ask a layer for them."""
    try:
        return signature(trace(bare_copy(small), _NarrowDropout)) == channels.signature
    except ValueError:
        return False


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _alive(channels: Channels, masks: Masks, multiple_of: int) -> Tensor:
    """Whether to keep each label: fed and read, and more where a layer's outputs are to be a multiple."""
    layers = [
        (
            _kept(layer, masks.get(f"{name}.weight")),
            channels.rooted(layer.source.labels),
            channels.rooted(layer.outputs),
        )
        for name, layer in channels.layers.items()
    ]
    fed, read = _constants(channels, layers), torch.zeros(channels.count, dtype=torch.bool)
    read[WHOLE] = True
    _spread(fed, layers)  # in the order of the graph, once is enough
    back = [(kept.T, outputs, inputs) for kept, inputs, outputs in reversed(layers)]
    while _spread(read, back):  # for outputs once would do; so what is read early has its statistics later on, too
        pass
    alive = fed & read
    # One channel alone has no memory format, on which the order of a dropout's draws depends
    least = 2 if any(len(source.shape) > 2 for source in channels.dropouts.values()) else 1
    return _grown(alive, (outputs for _, _, outputs in layers), least, multiple_of)


def _kept(layer: Layer, mask: Tensor | None) -> Tensor:
    """Whether any weight is kept between two channels [outputs, inputs]."""
    if mask is None:
        return torch.ones(layer.module.weight.shape[:2], dtype=torch.bool)
    return (mask.flatten(2).any(2) if mask.ndim > 2 else mask).cpu()


def _constants(channels: Channels, layers: list[Ways]) -> Tensor:
    """The labels that are fed without a path from the input: by a constant, or by a shift that may move."""
    fed = torch.zeros(channels.count, dtype=torch.bool)
    fed[WHOLE] = True
    for layer, (kept, inputs, outputs) in zip(channels.layers.values(), layers, strict=True):
        fed[outputs[_nonzero(layer.module.bias, outputs)]] = True
        fed[inputs[kept.any(0) & layer.source.shifted]] = True
    for norm in channels.norms.values():
        labels = channels.rooted(norm.source.labels)
        fed[labels[_nonzero(norm.module.bias, labels) | _nonzero(norm.module.running_mean, labels)]] = True
    return fed


def _nonzero(values: Tensor | None, labels: Tensor) -> Tensor:
    return torch.zeros_like(labels, dtype=torch.bool) if values is None else values.detach().cpu() != 0


def _spread(marked: Tensor, layers: Iterable[Ways]) -> bool:
    """Mark the targets of marked sources, layer by layer; whether any is new."""
    before = marked.clone()
    for kept, sources, targets in layers:
        marked[targets[kept[:, marked[sources]].any(1)]] = True
    return not marked.equal(before)


def _grown(alive: Tensor, outputs: Iterable[Tensor], least: int, multiple_of: int) -> Tensor:
    """More labels, so that every layer has a multiple of them (where it shares some with another, at least that)."""
    for labels in outputs:
        count = int(alive[labels].count_nonzero())
        wanted = -(-max(count, least) // multiple_of) * multiple_of
        alive[labels[~alive[labels]][: wanted - count]] = True
    return alive


def _places(channels: Channels, alive: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """Where what stays of each tensor is in the original, as indices into its first dimensions."""
    places: dict[str, tuple[Tensor, ...]] = {}
    for name, layer in channels.layers.items():
        rows, columns = alive[layer.outputs], alive[layer.source.labels]
        if not (rows.all() and columns.all()):
            places[f"{name}.weight"] = rows.nonzero(), columns.nonzero().squeeze(1)
        if not rows.all():
            places[f"{name}.bias"] = (rows.nonzero().squeeze(1),)
    for name, norm in channels.norms.items():
        kept = alive[norm.source.labels]
        if not kept.all():
            each = ("weight", "bias", "running_mean", "running_var")
            places |= {f"{name}.{tensor}": (kept.nonzero().squeeze(1),) for tensor in each}
    return places


def _narrowed(model: nn.Module, channels: Channels, alive: Tensor, places: Places) -> nn.Module:
    """A deep copy that meets its narrower tensors, and dropout, as if they had been copied already."""
    copies: dict[int, Any] = {}
    for name, tensor in _tensors(model).items():
        if name in places:
            cut = cut_out(tensor, places[name])
            copies[id(tensor)] = nn.Parameter(cut, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else cut
    device = next(model.parameters()).device
    for name, source in channels.dropouts.items():
        kept = alive[source.labels]
        if not kept.all():
            copies[id(model.get_submodule(name))] = _NarrowDropout(model.get_submodule(name), kept.to(device))
    small = copy.deepcopy(model, copies)
    for name, layer in channels.layers.items():
        kind = "features" if isinstance(layer.module, nn.Linear) else "channels"
        vars(small.get_submodule(name)).update(
            {
                f"out_{kind}": int(alive[layer.outputs].count_nonzero()),
                f"in_{kind}": int(alive[layer.source.labels].count_nonzero()),
            }
        )
    for name, norm in channels.norms.items():
        vars(small.get_submodule(name))["num_features"] = int(alive[norm.outputs].count_nonzero())
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
