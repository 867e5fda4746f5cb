"""Detecting layers that multiply with a tensor computed from their weight that is not zero where the weight is.

Weight standardisation (Qiao et al. 2019) subtracts the mean of each filter in the forward pass: a removed weight then
counts as −mean/deviation, and nothing is removed at all. The probe sets some weights of a
layer or a network to zero, runs it, and counts zeros in the tensors that it multiplies with. Scaling a weight, masking
it or taking its sign keeps zeros zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from pruning.draws import seeded_draws
from pruning.functional import call, unchanged
from pruning.modes import scoring_mode

_PRODUCTS = ("conv", "linear", "mm", "matmul", "einsum", "tensordot")  # substrings of function names
_seen: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()  # a layer is probed once


def fills_zeros(layer: nn.Module) -> bool:
    """Whether a layer multiplies with a tensor of its weight's size that is not zero where the weight is.

    False without a probe for layers of torch's own classes. Also False for a layer that takes other arguments than one
    input, or whose products are not detected. The layer is not changed.
    """
    if type(layer).__module__.startswith("torch.nn.") and "forward" not in vars(layer):
        return False
    if layer not in _seen:
        _seen[layer] = _probe(layer)
    return _seen[layer]


@torch.no_grad()
def filled(model: nn.Module, weights: Mapping[str, Tensor], input_shape: Sequence[int]) -> list[str]:
    """Names of weights that a network uses only through derived tensors that are not zero where the weight is.

    :func:`fills_zeros` for a network that derives them outside its layers, as in
    ``F.conv2d(x, standardised(self.layer.weight))``.

    Args:
        model: is run twice, in evaluation mode, and not changed.
        weights: its prunable weights, by first name.
        input_shape: of one input, without the batch.
    """
    return sorted(set.intersection(*(_filled(model, weights, (inputs, *input_shape)) for inputs in (2, 3))))


def _filled(model: nn.Module, weights: Mapping[str, Tensor], shape: Sequence[int]) -> set[str]:
    like = next(iter(weights.values()))
    with scoring_mode(model, train=False):
        drawn = {name: (torch.rand_like(weight) + 0.5) / 100 for name, weight in weights.items()}
        masked = {name: values * (torch.rand_like(values) < 0.5) for name, values in drawn.items()}
        operands = _Operands(masked, others=(*model.parameters(), *model.buffers()))
        with operands:
            call(model, masked, torch.rand(shape, dtype=like.dtype, device=like.device))
    return {name for name in masked.keys() - operands.used if operands.fills(masked[name])}


class _Forward(nn.Module):
    """A layer without its hooks."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Any:
        return self.layer.forward(inputs)


class _Operands(TorchFunctionMode):
    """Records the operands of all products.

    Attributes:
        used: names of the weights that are operands themselves or through a view.
    """

    def __init__(self, weights: Mapping[str, Tensor], others: Iterable[Tensor] = ()):
        super().__init__()
        self.used = set[str]()
        self._names = {_storage(weight): name for name, weight in weights.items()}
        self._others = {_storage(tensor) for tensor in others}
        self._zeros: dict[int, int] = {}  # by number of elements: the fewest zeros in a derived operand of that size

    def fills(self, weight: Tensor) -> bool:
        """Whether a derived operand of the weight's size has fewer zeros than it."""
        return self._zeros.get(weight.numel(), weight.numel()) < int((weight == 0).sum())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(name in getattr(func, "__name__", "") for name in _PRODUCTS):
            for operand in _tensors((*args, *(kwargs or {}).values())):
                self._record(operand)
        return func(*args, **(kwargs or {}))

    def _record(self, operand: Tensor) -> None:
        name = self._names.get(_storage(operand))
        if name is not None:
            self.used.add(name)
        elif _storage(operand) not in self._others:
            size = operand.numel()
            self._zeros[size] = min(self._zeros.get(size, size), int((operand == 0).sum()))


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _tensors(values: Any) -> list[Tensor]:
    flat = (part for value in values for part in (value if isinstance(value, (tuple, list)) else (value,)))
    return [value for value in flat if isinstance(value, Tensor)]


def _probe(layer: nn.Module) -> bool:
    # an operand computed from the inputs grows with the batch, so it has the weight's size for one batch size at most
    return all(_fills(layer, inputs) for inputs in (2, 3))


@torch.no_grad()
def _fills(layer: nn.Module, inputs: int) -> bool:
    own = {f"layer.{name}": tensor for name, tensor in (*layer.named_parameters(), *layer.named_buffers())}
    with torch.device("cpu"), seeded_draws(0), unchanged(layer):
        tensors = {name: _drawn(tensor) for name, tensor in own.items()}
        weight = tensors["layer.weight"]
        weight *= torch.rand(weight.shape) < 0.5
        operands = _Operands({"weight": weight})
        try:
            with operands:
                functional_call(_Forward(layer), tensors, (_input(layer, inputs, weight.dtype),))
        except Exception:  # the layer takes other arguments, or rejects these
            return False
        return operands.fills(weight)


def _drawn(tensor: Tensor) -> Tensor:
    """Random positive values in a CPU tensor of this shape."""
    if not tensor.is_floating_point():
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    return torch.rand(tensor.shape).to(tensor.dtype) + 0.5


def _input(layer: Any, inputs: int, dtype: torch.dtype) -> Tensor:
    """The smallest input that the layer accepts."""
    if isinstance(layer, nn.Linear):
        shape = [inputs, layer.in_features]
    else:
        sides = (1 + d * (k - 1) for k, d in zip(layer.kernel_size, layer.dilation, strict=True))
        shape = [inputs, layer.in_channels, *sides]
    return torch.rand(shape).to(dtype) + 0.5
