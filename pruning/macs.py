"""Multiply-accumulates of the prunable weights, counted in one forward pass."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pruning.masks import PRUNABLE_LAYERS, TRANSPOSED, matrices, prunable
from pruning.modes import scoring_mode, slow_attention

Uses = int | tuple[int, ...]  # of each weight for one input; one number per matrix of the tensor where they differ


def positions(model: nn.Module, input_shape: Sequence[int]) -> dict[str, Uses]:
    """Multiply-accumulates that one weight takes part in for one input, by parameter name (1 in a linear layer).

    Every product with the weight tensor itself counts: in its layer, in a function called with the layer's weight, in
    attention. Query, key and value of attention may see sequences of different lengths: then there are three numbers.
    A layer that multiplies with a tensor computed from its weight counts like a layer of its type. Attention's products
    without a weight (queries with keys, their softmax with values) are not counted.
    """
    weights = prunable(model)
    products, called = _Products(weights), Counter[str]()
    names = {id(parameter): name for name, parameter in weights.items()}

    def record(module: nn.Module, inputs: Any, output: Tensor) -> None:
        # a weight of a convolution is used once per output position, of a transposed one once per input position
        side = inputs[0] if isinstance(module, TRANSPOSED) else output
        called[names[id(module.weight)]] += side.numel() // cast(Tensor, module.weight).shape[0]

    handles = [m.register_forward_hook(record) for m in model.modules() if isinstance(m, PRUNABLE_LAYERS)]
    like = next(model.parameters())
    inputs = torch.zeros(1, *input_shape, device=like.device, dtype=like.dtype)
    try:
        with scoring_mode(model, train=False), torch.no_grad(), slow_attention():
            try:
                with products:
                    model(inputs)
            except NotImplementedError:  # raised by operators that do not support dispatch modes: hooks work without
                called.clear()
                products.clear()
                model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: products.uses(name, weight) or called[name] for name, weight in weights.items()}


def macs(tensors: Mapping[str, Tensor], uses: Mapping[str, Uses], number: Callable[[Tensor], int | Tensor]) -> int:
    """Multiply-accumulates of several tensors for one input.

    Args:
        tensors: weights or masks by name.
        uses: from :func:`positions`.
        number: counts the weights of a tensor: ``torch.numel``, or ``torch.count_nonzero`` for a mask.
    """
    return sum(tensor_macs(name, tensor, uses[name], number) for name, tensor in tensors.items())


def tensor_macs(name: str, tensor: Tensor, uses: Uses, number: Callable[[Tensor], int | Tensor]) -> int:
    """Multiply-accumulates of one tensor for one input; see :func:`macs`."""
    if isinstance(uses, int):
        return uses * int(number(tensor))
    return sum(use * int(number(part)) for use, part in zip(uses, matrices(name, tensor), strict=True))


class _Products(TorchDispatchMode):
    """Counts the multiply-accumulates of every product with a weight or a view of it."""

    def __init__(self, weights: Mapping[str, Tensor]):
        super().__init__()
        self._macs = Counter[tuple[str, int]]()  # by tensor name and index of the matrix in it
        self._weights: dict[int, list[tuple[str, Tensor]]] = {}  # by storage: several tensors may share one
        for name, weight in weights.items():
            self._weights.setdefault(_storage(weight), []).append((name, weight))

    def clear(self) -> None:
        """Reset all counts."""
        self._macs.clear()

    def uses(self, name: str, weight: Tensor) -> Uses:
        """Number of uses of each weight of a tensor."""
        parts = matrices(name, weight)
        uses = tuple(self._macs[name, number] // max(1, part.numel()) for number, part in enumerate(parts))
        return uses if len(set(uses)) > 1 else uses[0]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise the first call would import torch's compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        work = _WORK.get(func.overloadpacket.__name__)
        if work and isinstance(output, Tensor):
            for operand in args:
                if isinstance(operand, Tensor) and (owner := self._owner(operand)):
                    self._count(*owner, operand, work(args, output))
        return output

    def _owner(self, operand: Tensor) -> tuple[str, Tensor] | None:
        for name, weight in self._weights.get(_storage(operand), ()):
            if 0 <= operand.storage_offset() - weight.storage_offset() < weight.numel():
                return name, weight
        return None

    def _count(self, name: str, weight: Tensor, operand: Tensor, work: int) -> None:
        size = weight.numel() // len(matrices(name, weight))
        first = (operand.storage_offset() - weight.storage_offset()) // size
        distinct = math.prod(length for length, stride in zip(operand.shape, operand.stride(), strict=True) if stride)
        for number in range(first, first + max(1, distinct // size)):
            self._macs[name, number] += work // max(1, distinct // size)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _product(first: int) -> Callable[[Any, Tensor], int]:
    """Multiply-accumulates of a matrix product whose factors are the arguments ``first`` and ``first + 1``."""
    return lambda args, output: output.numel() * args[first].shape[-1]


def _convolution(args: Any, output: Tensor) -> int:
    inputs, weight, transposed = args[0], args[1], args[6]
    return (inputs if transposed else output).numel() * weight[0].numel()


_WORK: dict[str, Callable[[Any, Tensor], int]] = {
    **{name: _product(0) for name in ("mm", "bmm", "mv", "dot", "linear", "matmul")},
    **{name: _product(1) for name in ("addmm", "baddbmm", "addmv")},
    "convolution": _convolution,
}
