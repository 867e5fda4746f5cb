"""CUDA graphs in training: where they run, whether a step can be one, and how far the host may run ahead.

A captured function of static tensors is replayed by one launch. What Python does in it happens once, at capture: so a
step is captured only where the host takes no part in it.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pruning.capturable import HostState
from pruning.graphs import record

WARM_UPS = 3  # eager steps of a size before it is captured; the last of them is watched
_AHEAD = 4  # the host runs at most twice as many replays ahead of the GPU
_SYNC = "synchronizing CUDA operation"  # in the warnings of torch's synchronization debug mode
_TORCH = str(Path(torch.__file__).parent)


@contextmanager
def on_side_stream(device: torch.device) -> Iterator[None]:
    """Run on the one side stream of a GPU, where captures are possible, in order with the work before and after.

    On a CPU it does nothing.
    """
    if device.type != "cuda":
        yield
        return
    stream, outer = _side_stream(device), torch.cuda.current_stream(device)
    stream.wait_stream(outer)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        outer.wait_stream(stream)


@functools.cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # PyTorch caches free memory by stream: one stream lets the next training have it


def new_pool(device: torch.device) -> Any:
    """Memory for several graphs that are never replayed at the same time and leave nothing in it for one another."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


def capture(function: Callable[[], None], device: torch.device, pool: Any = None) -> Callable[[], None]:
    """Capture a function on the current stream, which is not the default one; return what replays it.

    Capturing computes nothing. On a CPU the function itself is returned.

    Raises:
        NotCapturable, torch.OutOfMemoryError: see `pruning.graphs.record`.
    """
    return record(function, device, pool).replay if device.type == "cuda" else function


def watch(function: Callable[[], None], model: nn.Module, device: torch.device) -> str | None:
    """Call a function and say why replays of it would not do the same, as a clause; None: nothing speaks against it.

    A replay does not wait for the GPU, draws from no generator of the host, and changes no attribute of the model but
    by writing into tensors on the device.
    """
    before, sync = HostState(model, device), None
    if device.type == "cuda":
        sync = _wait_in(function)
    else:
        function()
    return sync or before.difference(HostState(model, device))


def _wait_in(function: Callable[[], None]) -> str | None:
    """Call it; say where it waits for the GPU."""
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            function()
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    syncs = [warning for warning in caught if _SYNC in str(warning.message)]
    for warning in caught:
        if "ynchroniz" not in str(warning.message):  # torch also warns that this mode is a prototype
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if not syncs:
        return None
    places = [f" ({Path(w.filename).name}, line {w.lineno})" for w in syncs if not w.filename.startswith(_TORCH)]
    return f"it waits for the GPU{places[0] if places else ''}"


class Pace:
    """Keeps the host from running far ahead of the GPU, so that a stop is answered soon."""

    def __init__(self, device: torch.device) -> None:
        self._count = 0
        self._event = torch.cuda.Event(blocking=True) if device.type == "cuda" else None

    def step(self) -> None:
        """To be called after every replay."""
        self._count += 1
        if self._event is not None and self._count % _AHEAD == 0:
            self._event.synchronize()  # of the time before; the first time there is nothing to wait for
            self._event.record()
