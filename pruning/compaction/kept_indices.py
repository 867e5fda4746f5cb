"""Which elements of the original's tensors a smaller network has: cut them out and put them back, also in checkpoints.

A training state is a dict: "model" holds tensors by name, "optimizer" dicts of tensors by parameter name. Its other
entries, and optimizer values that are not tensors of the parameter's shape, are passed through unchanged.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

KeptIndices = Mapping[
    str, tuple[Tensor, ...]
]  # by tensor name, indices into its first dimensions; no entry: all elements are kept
State = dict[str, Any]
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


def cut_out(tensor: Tensor, indices: tuple[Tensor, ...]) -> Tensor:
    """A copy of the kept elements, in the tensor's memory format."""
    kept = tensor.detach()[tuple(index.to(tensor.device) for index in indices) or ...]
    return torch.empty_like(kept, memory_format=memory_format(tensor)).copy_(kept)


def memory_format(tensor: Tensor) -> torch.memory_format:
    """Channels-last, or contiguous.

    Where a tensor has both formats (a 1×1 kernel, a single channel), its strides decide, as for a convolution.
    """
    layout = LAYOUTS.get(tensor.ndim)
    if layout is None or not tensor.is_contiguous(memory_format=layout):
        return torch.contiguous_format
    strides = torch.empty(tensor.shape, device="meta", memory_format=layout).stride()
    return layout if tensor.stride() == strides or not tensor.is_contiguous() else torch.contiguous_format


@torch.no_grad()
def put_back(into: Tensor, indices: tuple[Tensor, ...], kept: Tensor) -> Tensor:
    """Write the kept elements into the original tensor, in place; return it."""
    into[tuple(index.to(into.device) for index in indices) or ...] = kept.to(into)
    return into


def widen_state(
    state: State, indices: KeptIndices, small: Mapping[str, Tensor], original: Mapping[str, Tensor]
) -> State:
    """Convert a training state of the smaller network to the original's names and shapes.

    Args:
        state: in the shapes of ``small``. Tensors of its model that ``original`` does not name are left out.
        indices: of the elements of ``original`` that ``small`` has.
        small: tensors of the smaller network.
        original: tensors of the original. Removed elements get these values; in the optimizer they are zero.
    """

    def widen(base: Callable[[Tensor], Tensor], name: str, value: Any) -> Any:
        if name not in indices or not isinstance(value, Tensor) or value.shape != small[name].shape:
            return value
        return put_back(base(original[name].detach()).to(value), indices[name], value)

    model = {name: value for name, value in state["model"].items() if name in original}
    return _map_tensors({**state, "model": model}, partial(widen, torch.clone), partial(widen, torch.zeros_like))


def narrow_state(state: State, indices: KeptIndices, shapes: Mapping[str, torch.Size]) -> State:
    """Convert a training state of the original, whose tensors have these shapes, to the smaller network's.

    Raises:
        ValueError: the state's names or shapes differ from ``shapes``; the message says which.
    """
    given = {name: value.shape for name, value in state["model"].items()}
    for name in {**shapes, **given}:
        expected, actual = (list(sizes[name]) if name in sizes else "missing" for sizes in (shapes, given))
        if expected != actual:
            raise ValueError(
                f"the state belongs to another network: {name} is {actual} in the state and {expected} here"
            )

    def narrow(name: str, value: Any) -> Any:
        cuts = name in indices and isinstance(value, Tensor) and value.shape == shapes[name]
        return cut_out(value, indices[name]) if cuts else value

    return _map_tensors(state, narrow, narrow)


def _map_tensors(state: State, model: Callable[[str, Any], Any], optimizer: Callable[[str, Any], Any]) -> State:
    """Apply one function of name and value to the model's tensors, and another to the optimizer's."""
    return {
        **state,
        "model": {name: model(name, value) for name, value in state["model"].items()},
        "optimizer": {
            name: {key: optimizer(name, value) for key, value in slots.items()}
            for name, slots in state["optimizer"].items()
        },
    }
