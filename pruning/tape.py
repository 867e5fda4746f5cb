"""The operations that a network's forward pass is made of, as PyTorch's dispatcher sees them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Operation:
    """One call of an operator, with the very tensors that it read and returned.

    Attributes:
        versions: of the tensors read, at the time: a later write raises a tensor's version.
        masks: whether it is a softmax over inputs of which some are −∞.
    """

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any
    versions: tuple[int, ...]
    masks: bool = False

    @property
    def name(self) -> str:
        """Without overload, and without the mark of the in-place variant."""
        return str(self.func._schema.name).removeprefix("aten::").removesuffix("_")

    @property
    def tensors(self) -> list[Tensor]:
        """All that it read, those of lists too."""
        return list(tensors_in((self.args, self.kwargs)))

    @property
    def outputs(self) -> list[Tensor]:
        """All that it returned."""
        return list(tensors_in(self.output))

    @property
    def written(self) -> list[Tensor]:
        """Of those it read, the ones that it wrote into."""
        return list(tensors_in([value for value, alias in self._aliases if alias and alias.is_write]))

    @property
    def viewed(self) -> list[Tensor]:
        """Of those it read, the ones that its result shares memory with without having been written into."""
        return list(tensors_in([value for value, alias in self._aliases if alias and not alias.is_write]))

    def argument(self, name: str, default: Any = None) -> Any:
        """What was passed under a name of the operator's schema."""
        for position, declared in enumerate(self.func._schema.arguments):
            if declared.name == name:
                if position < len(self.args):
                    return self.args[position]
                return self.kwargs.get(name, declared.default_value if declared.has_default_value() else default)
        return default

    def version(self, tensor: Tensor) -> int:
        """That of one of the tensors read, at the time."""
        return next(v for each, v in zip(self.tensors, self.versions, strict=True) if each is tensor)

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
        return False  # or the first call would import torch's compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        versions = tuple(tensor._version for tensor in tensors_in((args, kwargs)))
        masks = func._schema.name.endswith("softmax") and bool((args[0] == -math.inf).any())
        output = func(*args, **kwargs)
        self.operations.append(Operation(func, args, kwargs, output, versions, masks))
        return output


class Exports(TorchFunctionMode):
    """Notes the tensors whose values are handed to Python or to another library, where no operation is seen.

    Attributes:
        tensors: of which numbers, an array or memory was asked for.
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
