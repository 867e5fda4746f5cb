"""Where what is left of a tensor is in the original: to cut it out, to put it back, and both for a training's state.

A state is a dict: "model" has tensors by name, "optimizer" dicts of tensors by parameter name; whatever else it has,
and what else an optimizer remembers than tensors of the parameter's shape, passes through.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

Places = Mapping[str, tuple[Tensor, ...]]  # by name, indices into the first dimensions; what it lacks is left whole
State = dict[str, Any]
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


def cut_out(tensor: Tensor, places: tuple[Tensor, ...]) -> Tensor:
    """What is left of a tensor, in its memory format."""
    left = tensor.detach()[tuple(place.to(tensor.device) for place in places) or ...]
    return torch.empty_like(left, memory_format=memory_format(tensor)).copy_(left)


def memory_format(tensor: Tensor) -> torch.memory_format:
    """Channels-last, or contiguous.

    By the strides, where both are possible (a 1×1 kernel, a single channel): a convolution goes by them, too.
    """
    layout = LAYOUTS.get(tensor.ndim)
    if layout is None or not tensor.is_contiguous(memory_format=layout):
        return torch.contiguous_format
    strides = torch.empty(tensor.shape, device="meta", memory_format=layout).stride()
    return layout if tensor.stride() == strides or not tensor.is_contiguous() else torch.contiguous_format


@torch.no_grad()
def put_back(into: Tensor, places: tuple[Tensor, ...], left: Tensor) -> Tensor:
    """The tensor, with what is left of it written back in place."""
    into[tuple(place.to(into.device) for place in places) or ...] = left.to(into)
    return into


def widen_state(state: State, places: Places, left: Mapping[str, Tensor], whole: Mapping[str, Tensor]) -> State:
    """A state in the shapes of ``left`` as one in those of ``whole``, where nothing else has a name.

    What was dropped of the model's tensors has the values of ``whole``, and of the optimizer's zero.
    """

    def wide(dropped: Callable[[Tensor], Tensor], name: str, value: Any) -> Any:
        if name not in places or not isinstance(value, Tensor) or value.shape != left[name].shape:
            return value
        return put_back(dropped(whole[name].detach()).to(value), places[name], value)

    own = {name: value for name, value in state["model"].items() if name in whole}
    return _each({**state, "model": own}, partial(wide, torch.clone), partial(wide, torch.zeros_like))


def narrow_state(state: State, places: Places, whole: Mapping[str, torch.Size]) -> State:
    """A state in the shapes of ``whole``, cut.

    Raises:
        ValueError: it has other names or shapes; it says which.
    """
    found = {name: value.shape for name, value in state["model"].items()}
    for name in {**whole, **found}:
        here, there = (list(shapes[name]) if name in shapes else "missing" for shapes in (whole, found))
        if here != there:
            raise ValueError(f"the state is another network's: {name} is {there} there and {here} here")

    def narrower(name: str, value: Any) -> Any:
        cuts = name in places and isinstance(value, Tensor) and value.shape == whole[name]
        return cut_out(value, places[name]) if cuts else value

    return _each(state, narrower, narrower)


def _each(state: State, model: Callable[[str, Any], Any], optimizer: Callable[[str, Any], Any]) -> State:
    """The state with a function of name and value applied to the model's tensors, another to the optimizer's."""
    remembered = state["optimizer"].items()
    return {
        **state,
        "model": {name: model(name, value) for name, value in state["model"].items()},
        "optimizer": {name: {k: optimizer(name, value) for k, value in each.items()} for name, each in remembered},
    }
