"""Whether a CUDA graph of a function would do what the function does when Python runs it again."""

import itertools
import pickle
import random
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from pruning.graphs import Run, generators_kept

_REFUSED = "synchronizing CUDA operation"  # in the message of PyTorch's synchronization debug mode
_OWN = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
_TORCH = ("torch.", "torchvision.")
_CONTAINERS = (Mapping, list, tuple, set, deque)
_ATOMS = (bool, int, float, complex, str, bytes, type(None))


def why_not_capturable(
    run: Run, device: torch.device, model: nn.Module | None = None, *, warmed_up: bool = False
) -> str | None:
    """Why a captured function would not do what it does when it is called; None: nothing speaks against it.

    It is called twice. The second time it must not wait for the GPU, nor draw from a generator of the host, nor leave
    an attribute of ``model`` changed: a replay would do none of this.

    Args:
        run: as for :func:`capture`.
        model: whose attributes are compared, where what a call leaves in them stays.
        warmed_up: whether the function has been called before; then it is called once.

    Returns:
        A clause, such as "it waits for the GPU (models.py, line 12)".
    """
    with generators_kept(device):
        if not warmed_up:
            run()  # what it does once alone (a table, a choice of algorithms) is no reason
        before = HostState(model, device)
        try:
            with _syncs_refused(device):
                run()
        except RuntimeError as error:
            if _REFUSED not in str(error):
                raise
            return f"it waits for the GPU{_place(error)}"
        return before.difference(HostState(model, device))


@contextmanager
def _syncs_refused(device: torch.device) -> Iterator[None]:
    if device.type != "cuda":
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    try:
        _set_sync_mode(2)
        yield
    finally:
        _set_sync_mode(before)


def _set_sync_mode(mode: int) -> None:
    """0: waiting for the GPU is fine; 2: it is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode(mode)


class HostState:
    """The generators of the host, and the attributes of a model's modules, at one moment."""

    def __init__(self, model: nn.Module | None, device: torch.device):
        numpy = sys.modules.get("numpy")
        self._draws: dict[str, Any] = {
            # on a CPU it is the device's own
            "PyTorch's CPU generator": torch.get_rng_state().numpy().tobytes() if device.type != "cpu" else None,
            "Python's random": random.getstate(),
            "numpy.random": _comparable(numpy.random.get_state()) if numpy else None,
        }
        self._kind = device.type
        self._attributes: dict[str, Any] = {}  # holds the objects, so that no other gets the place of one
        self._seen: dict[int, Any] = {}
        for name, module in model.named_modules() if model is not None else ():
            self._note(name, _of_class(type(module)))
            self._note(name, vars(module))

    def difference(self, later: "HostState") -> str | None:
        """What is another one later."""
        for name, state in self._draws.items():
            if later._draws[name] != state:
                return f"it draws from {name}"
        for path in {**self._attributes, **later._attributes}:
            if not _same(self._attributes.get(path, later), later._attributes.get(path, self)):
                return f"it changes {path.removeprefix('.')} with every pass"
        return None

    def _note(self, path: str, value: Any) -> None:
        if isinstance(value, _ATOMS):
            self._attributes[path] = value
        elif isinstance(value, Tensor):
            # a GPU's own tensors are written to by replays, too
            version = value._version if value.device.type != self._kind and not value.is_inference() else 0
            self._attributes[path] = (value, version)
        elif id(value) not in self._seen:
            self._seen[id(value)] = value
            if not isinstance(value, _CONTAINERS):
                self._attributes[path] = (value, _state(value))
            for key, part in _parts(value):
                if not isinstance(part, nn.Module):  # those come by their own names
                    self._note(f"{path}.{key}".removeprefix("."), part)


def _state(value: Any) -> Any:
    """What an object of C code has inside, where that changes by use."""
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes() if value.device.type == "cpu" else 0
    if isinstance(value, itertools.count):
        return repr(value)
    if type(value).__module__.startswith("numpy"):
        if hasattr(value, "bit_generator"):
            return repr(value.bit_generator.state)
        with suppress(Exception):  # some hold on to what cannot be pickled
            return _comparable(value.get_state()) if hasattr(value, "get_state") else pickle.dumps(value)
    return 0


def _of_class(kind: type) -> dict[str, Any]:
    """Attributes and methods of a module's class, and of those that it inherits from; not of PyTorch's own."""
    own = [cls for cls in reversed(kind.__mro__) if not cls.__module__.startswith((*_TORCH, "builtins"))]
    kinds = (*_ATOMS, *_CONTAINERS, FunctionType)
    return {
        key: value
        for cls in own
        for key, value in vars(cls).items()
        if isinstance(value, kinds) and (key == "__call__" or not key.startswith("__"))
    }


def _parts(value: Any) -> list[tuple[Any, Any]]:
    """What an object holds, by its name there, and what a function holds on to: variables around it and of its file."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, _CONTAINERS):
        return list(enumerate(value))
    if isinstance(value, MethodType):
        return [("__self__", value.__self__), ("__func__", value.__func__)]
    if isinstance(value, partial):
        return [("func", value.func), ("args", value.args), ("keywords", value.keywords)]
    if isinstance(value, FunctionType):
        if (value.__module__ or "").startswith(_TORCH):
            return []
        around = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        held = [(name, cell.cell_contents) for name, cell in around if cell != CellType()]
        held += [("defaults", value.__defaults__), ("keyword defaults", value.__kwdefaults__)]
        names = {name: value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__}
        return held + [(name, part) for name, part in names.items() if not isinstance(part, (type, ModuleType))]
    if isinstance(value, (type, ModuleType)) or type(value).__module__.startswith(_TORCH):
        return []
    return list(getattr(value, "__dict__", {}).items())


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return one[0] is other[0] and one[1] == other[1]
    return type(one) is type(other) and (one == other or one != one)  # NaN is NaN


def _comparable(state: Any) -> Any:
    return tuple(part.tobytes() if hasattr(part, "tobytes") else part for part in state)


def _place(error: BaseException) -> str:
    """The last line outside PyTorch that an error came through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(_OWN):
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""
