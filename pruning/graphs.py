"""CUDA graphs: a function of static tensors is captured once and replayed with one launch.

Whoever captures a function writes its inputs into tensors that stay (``copy_``), calls :meth:`Replay.replay`, and reads
the outputs, which are the same tensors every time with new values.

    reason = why_not_capturable(run, device)
    if reason is None:
        replay = capture(run, device)
        images.copy_(batch)
        loss, *gradients = replay.replay()

On a CPU :func:`capture` gives a stand-in that calls the function again and writes what it returns into the same output
tensors, so that everything around a capture runs, and is tested, without a GPU.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import torch
from torch import Tensor

from pruning.draws import remembered_draws

Run = Callable[[], Sequence[Tensor]]

WARM_UPS = 2  # libraries choose their algorithms and get their workspaces in the first calls


class NotCapturable(Exception):
    """A function could not be captured; the message says why, in a clause such as "it waits for the GPU"."""


class Replay(Protocol):
    """A captured function.

    Attributes:
        outputs: what the function returned when it was captured; :meth:`replay` writes new values into these tensors.
    """

    outputs: tuple[Tensor, ...]

    def replay(self) -> tuple[Tensor, ...]:
        """Run the function on the values that its static inputs have now, without waiting for it."""
        ...


def possible(device: torch.device) -> bool:
    """Whether functions on this device can be captured at all."""
    return device.type == "cuda"


def capture(run: Run, device: torch.device, pool: Any = None, warm_ups: int = WARM_UPS) -> Replay:
    """Warm a function up and capture it on a stream of its own.

    The function runs ``warm_ups`` times, on a CPU once, before this returns (a CUDA capture itself computes nothing):
    it must not matter what it has written. What it reads is kept alive. Generators, also the GPU's, are afterwards as
    they were.

    Args:
        run: a function of tensors that stay where they are; it returns tensors. It must not seed a generator, and
            differentiates by ``torch.autograd.grad``, or with all ``.grad`` None before.
        pool: of another graph (``torch.cuda.graph_pool_handle()``) that is never replayed at the same time, to share
            its memory: outputs of the one are then overwritten by replays of the other.
        warm_ups: 0 where the function has been called already.

    Raises:
        NotCapturable: capturing failed; the GPU is usable as before.
    """
    return _Graph(run, device, pool, warm_ups) if device.type == "cuda" else EagerReplay(run)


class EagerReplay:
    """What stands for a graph on a CPU: the function, called again, with outputs that stay."""

    def __init__(self, run: Run):
        self._run = run
        with generators_kept():
            self.outputs = tuple(output.detach().clone() for output in run())

    def replay(self) -> tuple[Tensor, ...]:
        """Call the function and write what it returns into the outputs."""
        for output, value in zip(self.outputs, self._run(), strict=True):
            output.copy_(value.detach())
        return self.outputs


class _Graph:
    """A captured CUDA graph."""

    def __init__(self, run: Run, device: torch.device, pool: Any, warm_ups: int):
        self._run = run  # holds the tensors that the graph reads
        with torch.cuda.device(device), generators_kept(device), side_stream():
            for _ in range(warm_ups):
                run()
            outputs: list[Tensor] = []
            try:
                self._graph = record(lambda: outputs.extend(run()), device, pool)
            except torch.OutOfMemoryError as error:
                raise NotCapturable(f"capturing failed: {_first_line(error)}") from error
            self.outputs = tuple(outputs)

    def replay(self) -> tuple[Tensor, ...]:
        """Launch the graph on the current stream."""
        self._graph.replay()
        return self.outputs


_renewals = 0


def renewals() -> int:
    """How many failed captures of this process have replaced the generator: older graphs draw from an older one."""
    return _renewals


def record(function: Callable[[], object], device: torch.device, pool: Any = None) -> torch.cuda.CUDAGraph:
    """Capture a function on the current stream, which must not be the default one, without running anything before.

    Raises:
        NotCapturable: it cannot be captured; nothing has been computed, and the GPU is usable as before.
        torch.OutOfMemoryError: as if it had been called.
    """
    graph, failure = torch.cuda.CUDAGraph(), None
    stream, pool = torch.cuda.current_stream(device), pool or torch.cuda.graph_pool_handle()
    try:
        # other threads of the process may use the GPU meanwhile; a collection might free another graph
        with _no_collection(), torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            try:
                function()
            except Exception as error:  # a network may raise anything; the capture has to end before it is reported
                failure = error
    except Exception as error:  # ending the capture failed too: the first error is the cause
        failure = failure or error
    if failure is None:
        return graph
    _release(graph, pool)
    if isinstance(failure, torch.OutOfMemoryError):
        raise failure
    raise NotCapturable(f"capturing failed: {_first_line(failure)}") from failure


@contextmanager
def side_stream() -> Iterator[Any]:
    """Run on another stream of the current GPU, in order with the work before and after."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(stream):
            yield stream
    finally:
        torch.cuda.current_stream().wait_stream(stream)


@contextmanager
def generators_kept(device: torch.device | None = None) -> Iterator[None]:
    """Put the generators that networks draw from, those of the host and that of a GPU, back at the end."""
    on_gpu = device is not None and device.type == "cuda"
    rewind, state = remembered_draws(), torch.cuda.get_rng_state(device) if on_gpu and device else None
    try:
        yield
    finally:
        rewind()
        if state is not None and device is not None:
            torch.cuda.set_rng_state(state, device)


@contextmanager
def _no_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _release(graph: torch.cuda.CUDAGraph, pool: Any) -> None:
    """Give up a graph whose capture failed, and put back what PyTorch leaves in the state of a capture.

    That is its memory, which it would go on to look for in this graph, and the generator.
    """
    device = torch.cuda.current_device()
    with suppress(Exception):  # the capture has ended after all
        torch._C._cuda_endAllocateToPool(device, pool)
        torch._C._cuda_releasePool(device, pool)
    with suppress(Exception):  # there may be nothing yet to give up
        graph.reset()
    torch.cuda.synchronize()
    generator = torch.cuda.default_generators[device]
    generator.graphsafe_set_state(generator.clone_state())
    global _renewals
    _renewals += 1


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]
