"""A network run with other tensors in the place of its own, and left as it was.

``torch.func.functional_call`` goes by names. Where a module has two (``self.first`` and ``self.body[0]``), it swaps
one tensor twice and puts the wrong one back. So every tensor goes by its first name here, that of
``named_parameters()`` and ``named_buffers()``, and is swapped once in every module that holds it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

_ATOMS = frozenset((bool, int, float, complex, str, bytes, type(None)))
_CONTAINERS = (dict, list, set, deque)


def call(model: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor) -> Any:
    """What the network answers to ``inputs`` with ``tensors`` in the place of its own. The model is not changed.

    Plain tensor attributes follow a change of type: where a float32 weight is given in float64, they are float64 too.

    Args:
        tensors: by first name, see above; others stay. What a pass writes into a buffer in place, it writes into these.
        inputs: [B, …].
    """
    places, own = _by_place(model, tensors)
    types = {tensor.dtype: tensors[name].dtype for name, tensor in own.items() if tensor.is_floating_point()}
    with unchanged(model, own.values(), types):
        return functional_call(model, places, (inputs,), tie_weights=False)


@contextmanager
def unchanged(
    model: nn.Module, apart: Iterable[Tensor] = (), types: Mapping[torch.dtype, torch.dtype] | None = None
) -> Iterator[None]:
    """Let the model run, and give every module back what it had: parameters, buffers, flags, hooks, all attributes.

    Meanwhile it has copies of its buffers and of the tensors that it keeps as plain attributes, alone or in lists and
    dicts, so that what a pass writes into them goes too. Parameters are its own: whoever runs it must not write into
    them. What other objects keep, such as a variable that a hook closes over, is out of reach.

    Args:
        apart: buffers that need no copy, as the model is run with others.
        types: by type, the one that a copy shall have instead.
    """
    attributes = _Attributes(model, apart, types or {})
    try:
        yield
    finally:
        attributes.restore()


def _by_place(model: nn.Module, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors by every name that ``functional_call`` has to swap, one for each module that holds it; and the
    model's own tensors that they take the place of, by first name.
    """
    names: dict[int, str] = {}
    places: dict[str, Tensor] = {}
    own: dict[str, Tensor] = {}
    for prefix, module in model.named_modules():  # each module once
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                place = f"{prefix}.{key}" if prefix else key
                name = names.setdefault(id(tensor), place)
                if name in tensors:
                    places[place], own[name] = tensors[name], tensor
    return places, own


class _Attributes:
    """The attributes of all modules as they were, down to the containers among them."""

    def __init__(self, model: nn.Module, apart: Iterable[Tensor], types: Mapping[torch.dtype, torch.dtype]):
        self._types = types
        self._before: list[tuple[Any, Any]] = []
        self._empty: list[Any] = []  # containers, such as most of a module's dicts of hooks
        self._seen: set[int] = set()
        self._copies: dict[int, Tensor] = {}
        self._apart = set(map(id, apart))
        try:
            for module in model.modules():
                self._note(vars(module))
        except BaseException:  # Ctrl-C, too, must not leave half of the copies on the model; it is raised again
            self.restore()
            raise

    def restore(self) -> None:
        """Give every container its content back."""
        for container in filter(None, self._empty):
            container.clear()
        for container, content in self._before:
            if _same(container, content):
                continue
            container.clear()
            if isinstance(container, (list, deque)):
                container.extend(content)
            else:
                container.update(content)

    def _note(self, container: Any) -> None:
        if id(container) in self._seen:
            return
        self._seen.add(id(container))
        is_dict = isinstance(container, dict)
        content: Any = dict(container) if is_dict else list(container)
        self._before.append((container, content))
        if isinstance(container, set):
            return
        for key, value in content.items() if is_dict else enumerate(content):
            kind = type(value)
            if kind in _ATOMS or kind is nn.Parameter:
                continue
            if issubclass(kind, Tensor):
                if not (isinstance(value, nn.Parameter) or id(value) in self._apart or is_lazy(value)):
                    with suppress(Exception):  # a kind of dict or list that is not to be written to
                        container[key] = self._copied(value)
            elif issubclass(kind, _CONTAINERS):
                if value:
                    self._note(value)
                else:
                    self._empty.append(value)
            elif issubclass(kind, tuple):
                self._enter(value)

    def _enter(self, parts: tuple[Any, ...]) -> None:
        for part in parts:
            if isinstance(part, tuple):
                self._enter(part)
            elif isinstance(part, _CONTAINERS):
                self._note(part)

    def _copied(self, tensor: Tensor) -> Tensor:
        if id(tensor) not in self._copies:
            self._copies[id(tensor)] = tensor.detach().clone().to(self._types.get(tensor.dtype, tensor.dtype))
        return self._copies[id(tensor)]


def _same(container: Any, content: Any) -> bool:
    """Whether a container has these very objects."""
    if len(container) != len(content) or not all(map(is_, container, content)):
        return False
    return not isinstance(container, dict) or all(map(is_, container.values(), content.values()))
