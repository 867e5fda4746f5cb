"""What a training's state is made of: tensors by name, as they were, on whichever device training goes on."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

State = dict[str, Any]  # tensors, numbers, strings, None, lists and dicts of them
NAMES = ("model", "optimizer", "epoch", "step", "loss", "correct", "images_seen", "seconds", "random", "scaler")


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, those too that a ``state_dict`` leaves out. Not copied."""
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def optimizer_state(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, dict[str, Any]]:
    """What the optimizer remembers, by parameter name; nothing before its first step. Not copied."""
    return {
        name: dict(optimizer.state[parameter])
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
    }


@torch.no_grad()
def load_tensors(model: nn.Module, loaded: dict[str, Tensor]) -> None:
    """Write parameters and buffers, in place."""
    for name, tensor in tensors(model).items():
        tensor.copy_(loaded[name])


def load_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, loaded: dict[str, dict[str, Any]]) -> None:
    """Let the optimizer remember copies of what is loaded."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    by_index = {
        index: {key: _laid_out(value, parameter) for key, value in loaded[names[id(parameter)]].items()}
        for index, parameter in enumerate(parameters)
        if names[id(parameter)] in loaded
    }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": by_index})


def _laid_out(value: Any, parameter: Tensor) -> Any:
    """A copy, in the parameter's order of memory if it has its shape: fused optimizers go through both in one loop."""
    if not isinstance(value, Tensor):
        return value
    if value.shape != parameter.shape:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def random_state(device: torch.device) -> dict[str, Any]:
    """Of the global generators: torch's on the CPU and, if it is a GPU, the device, `random` and `numpy.random`."""
    on_gpu = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    _, words, of_gauss = random.getstate()
    return {
        "cpu": torch.get_rng_state(),
        **on_gpu,
        "python": {"words": torch.tensor(words, dtype=torch.int64), "gauss": of_gauss},
        "numpy": _numpy_state(),
    }


def _numpy_state() -> dict[str, Any]:
    state: Any = np.random.get_state()  # a tuple, and typed as one or a dictionary
    _, words, position, has_gauss, gauss = state
    return {
        "words": torch.from_numpy(words.astype(np.int64)),
        "position": int(position),
        "has_gauss": int(has_gauss),
        "gauss": float(gauss),
    }


def load_random(device: torch.device, loaded: dict[str, Any]) -> None:
    """Set the global generators. Older states are of torch's alone; then the others are left."""
    torch.set_rng_state(loaded["cpu"])
    if device.type == "cuda" and "cuda" in loaded:
        torch.cuda.set_rng_state(loaded["cuda"], device)
    if "python" in loaded:
        version = random.getstate()[0]
        random.setstate((version, tuple(loaded["python"]["words"].tolist()), loaded["python"]["gauss"]))
    if "numpy" in loaded:
        state = loaded["numpy"]
        words = state["words"].numpy().astype(np.uint32)
        np.random.set_state(("MT19937", words, state["position"], state["has_gauss"], state["gauss"]))


def check(state: State, model: nn.Module, steps: int) -> None:
    """See that a state is of this network, trained on as many images.

    Raises:
        ValueError: what differs, in names, shapes or types.
    """
    if missing := [name for name in NAMES if name not in state]:
        raise ValueError(f"the training's state has no {missing[0]!r}")
    own, unset = tensors(model), _unset(model)
    for name in {**own, **state["model"]}:
        if name in unset:
            continue
        here, there = (_described(found[name]) if name in found else "missing" for found in (own, state["model"]))
        if here != there:
            _differs(name, there, here)
    parameters = dict(model.named_parameters())
    for name, entries in state["optimizer"].items():
        if name not in parameters:
            raise ValueError(f"the training's state is another's: its optimizer has {name}, and this network has not")
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.numel() > 1 and value.shape != parameters[name].shape:
                _differs(f"the optimizer's {key} of {name}", list(value.shape), list(parameters[name].shape))
    if not 0 <= state["step"] <= steps:
        _differs("step", state["step"], f"at most {steps}")


def _unset(model: nn.Module) -> set[str]:
    """Names of buffers that are there and None, until a pass sets them: it does so again."""
    return {
        f"{prefix}.{key}" if prefix else key
        for prefix, module in model.named_modules()
        for key, buffer in module._buffers.items()
        if buffer is None
    }


def _described(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _differs(what: str, there: object, here: object) -> None:
    raise ValueError(f"the training's state is another's: {what} is {there} there and {here} here")
