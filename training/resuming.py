"""Reading and restoring the state of a training: tensors by name, optimizer, random generators."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pruning.named_tensors import named_tensors

State = dict[str, Any]  # tensors, numbers, strings, None, lists and dicts of them
NAMES = ("model", "optimizer", "epoch", "step", "loss", "correct", "images_seen", "seconds", "random", "scaler")


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, non-persistent buffers included. Not copied."""
    return {name: tensor.detach() for name, tensor in named_tensors(model).items()}


def optimizer_state(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, dict[str, Any]]:
    """The optimizer's state by parameter name; empty before its first step. Not copied."""
    return {
        name: dict(optimizer.state[parameter])
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
    }


@torch.no_grad()
def load_tensors(model: nn.Module, loaded: dict[str, Tensor]) -> None:
    """Copy values into parameters and buffers, in place."""
    for name, tensor in tensors(model).items():
        tensor.copy_(loaded[name])


def load_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, loaded: dict[str, dict[str, Any]]) -> None:
    """Set the optimizer's state to copies of the loaded one."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    by_index = {
        index: {key: _laid_out(value, parameter) for key, value in loaded[names[id(parameter)]].items()}
        for index, parameter in enumerate(parameters)
        if names[id(parameter)] in loaded
    }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": by_index})


def _laid_out(value: Any, parameter: Tensor) -> Any:
    """A copy, in the parameter's memory format if it has its shape, as fused optimizers iterate over both together."""
    if not isinstance(value, Tensor):
        return value
    if value.shape != parameter.shape:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def random_state(device: torch.device) -> dict[str, Any]:
    """States of the global generators: of torch on the CPU and on a GPU ``device``, `random` and `numpy.random`."""
    on_gpu = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    _, words, of_gauss = random.getstate()
    return {
        "cpu": torch.get_rng_state(),
        **on_gpu,
        "python": {"words": torch.tensor(words, dtype=torch.int64), "gauss": of_gauss},
        "numpy": _numpy_state(),
    }


def _numpy_state() -> dict[str, Any]:
    state: Any = np.random.get_state()  # a tuple, but typed as a tuple or a dict
    _, words, position, has_gauss, gauss = state
    return {
        "words": torch.from_numpy(words.astype(np.int64)),
        "position": int(position),
        "has_gauss": int(has_gauss),
        "gauss": float(gauss),
    }


def load_random(device: torch.device, loaded: dict[str, Any]) -> None:
    """Set the global generators. Older states have torch's only; then the others do not change."""
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
    """Check that a state belongs to a training of this network with ``steps`` steps per epoch.

    Raises:
        ValueError: names, shapes or types differ; the message says which.
    """
    if missing := [name for name in NAMES if name not in state]:
        raise ValueError(f"the training state has no {missing[0]!r}")
    own, unset = tensors(model), _unset(model)
    for name in {**own, **state["model"]}:
        if name in unset:
            continue
        here, there = (_described(values[name]) if name in values else "missing" for values in (own, state["model"]))
        if here != there:
            _differs(name, there, here)
    parameters = dict(model.named_parameters())
    for name, entries in state["optimizer"].items():
        if name not in parameters:
            raise ValueError(
                f"the state belongs to another training: its optimizer has {name}, which this network lacks"
            )
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.numel() > 1 and value.shape != parameters[name].shape:
                _differs(f"the optimizer's {key} of {name}", list(value.shape), list(parameters[name].shape))
    if not 0 <= state["step"] <= steps:
        _differs("step", state["step"], f"at most {steps}")


def _unset(model: nn.Module) -> set[str]:
    """Names of buffers that are None until a forward pass sets them, which it will do again."""
    return {
        f"{prefix}.{key}" if prefix else key
        for prefix, module in model.named_modules()
        for key, buffer in module._buffers.items()
        if buffer is None
    }


def _described(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _differs(subject: str, there: object, here: object) -> None:
    raise ValueError(f"the state belongs to another training: {subject} is {there} in the state and {here} here")
