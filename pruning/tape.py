"""Recording the operations of a forward pass at PyTorch's dispatcher."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Operation:
    """One call of an operator, with its input and output tensor objects.

    Attributes:
        versions: of the input tensors, at the time of the call: a later in-place write raises a tensor's version.
        masks: whether it is a softmax with −∞ among its inputs.
    """

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any
    versions: tuple[int, ...]
    masks: bool = False

    @property
    def name(self) -> str:
        """The operator's name without overload and without the underscore of the in-place variant."""
        return str(self.func._schema.name).removeprefix("aten::").removesuffix("_")

    @property
    def tensors(self) -> list[Tensor]:
        """All input tensors, those in lists included."""
        return list(tensors_in((self.args, self.kwargs)))

    @property
    def outputs(self) -> list[Tensor]:
        """All output tensors."""
        return list(tensors_in(self.output))

    @property
    def written(self) -> list[Tensor]:
        """The input tensors that the operator writes to."""
        return list(tensors_in([value for value, alias in self._aliases if alias and alias.is_write]))

    @property
    def viewed(self) -> list[Tensor]:
        """The input tensors that the result is a view of and that are not written to."""
        return list(tensors_in([value for value, alias in self._aliases if alias and not alias.is_write]))

    def argument(self, name: str, default: Any = None) -> Any:
        """The value of the argument with this name in the operator's schema, or its default."""
        for position, declared in enumerate(self.func._schema.arguments):
            if declared.name == name:
                if position < len(self.args):
                    return self.args[position]
                return self.kwargs.get(name, declared.default_value if declared.has_default_value() else default)
        return default

    def version(self, tensor: Tensor) -> int:
        """The version of an input tensor at the time of the call."""
        return next(v for read, v in zip(self.tensors, self.versions, strict=True) if read is tensor)

    @property
    def _aliases(self) -> list[tuple[Any, Any]]:
        return [(self.argument(declared.name), declared.alias_info) for declared in self.func._schema.arguments]


class Tape(TorchDispatchMode):
    """Records every operation that runs while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise the first call would import torch's compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        versions = tuple(tensor._version for tensor in tensors_in((args, kwargs)))
        masks = func._schema.name.endswith("softmax") and bool((args[0] == -math.inf).any())
        output = func(*args, **kwargs)
        self.operations.append(Operation(func, args, kwargs, output, versions, masks))
        return output


class Exports(TorchFunctionMode):
    """Records the tensors whose values are passed to Python or another library, where the dispatcher sees nothing.

    Attributes:
        tensors: that were converted to numbers or an array, or whose memory was accessed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in _EXPORTING:
            self.tensors += tensors_in(args)
        return func(*args, **(kwargs or {}))


_EXPORTING = {"numpy", "tolist", "__array__", "__dlpack__", "data_ptr", "untyped_storage", "storage", "__reduce_ex__"}


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
