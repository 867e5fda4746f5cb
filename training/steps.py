"""The steps of an epoch, one after another: eager ones, and replays of captured ones."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch

from pruning.graphs import NotCapturable, renewals
from training import graphs
from training.optimizer import reads_rate_from_device
from training.plan import Plan, StepInputs, pack
from training.splits import Batch, MemorySplit, Split
from training.step import Step


def why_eager(device: torch.device, split: Split, graphs: str) -> str | None:
    """Why batches of a split are not to be captured with what is done on them, as a clause; None: they may be."""
    if graphs == "off":
        return "CUDA graphs are off"
    if device.type != "cuda":
        return f"the device is {device.type}"
    return None if isinstance(split, MemorySplit) else "the images are not in memory"


def why_eager_steps(
    device: torch.device, split: Split, graphs: str, precision: str, optimizer: torch.optim.Optimizer
) -> str | None:
    """Why the steps of a training are not to be captured, as a clause; None: they may be.

    Single steps still run eagerly: those that a masking needs the host for, and the first ones of every size of batch.
    """
    if reason := why_eager(device, split, graphs):
        return reason
    if precision == "fp16":
        return "fp16 scales gradients by what the host sees"
    if not reads_rate_from_device(optimizer):
        return f"{type(optimizer).__name__} is not fused, and takes its learning rate from the host"
    return None


class EpochSteps(Protocol):
    """The steps of one epoch, to be run in order.

    Attributes:
        seconds_waiting: for images that are read from disk, so far; None: they are in memory.
    """

    seconds_waiting: float | None

    def make(self, number: int, needs_host: bool) -> int:
        """Run the step of this number (from 0 on) and return its number of images.

        Args:
            needs_host: run it eagerly, whatever could be replayed.
        """
        ...


def steps_of_epoch(
    step_graphs: "StepGraphs", split: Split, batch_size: int, draws: torch.Generator, rates: Sequence[float], first: int
) -> EpochSteps:
    """The steps of an epoch from step `first` on, shuffled and augmented by a CPU generator.

    Args:
        rates: of all steps of the epoch, those before `first` too.
    """
    if isinstance(split, MemorySplit):
        return _FromMemory(step_graphs, split, batch_size, split.plan(draws), rates)
    batches = split.batches(batch_size, generator=draws, augment=True, first=first)
    return _Streamed(step_graphs.step, batches, rates)


class _Streamed:
    """Steps on batches that are read one by one."""

    def __init__(self, step: Step, batches: Iterator[Batch], rates: Sequence[float]) -> None:
        self._step, self._batches, self._rates = step, batches, rates
        self.seconds_waiting: float | None = 0.0

    def make(self, number: int, needs_host: bool) -> int:
        began = time.perf_counter()
        images, labels = next(self._batches)
        self.seconds_waiting = (self.seconds_waiting or 0.0) + time.perf_counter() - began
        self._step.set_rate(self._rates[number])
        self._step(images, labels)
        return len(labels)


class _FromMemory:
    """Steps on images that lie on the device."""

    seconds_waiting: float | None = None

    def __init__(
        self, step_graphs: "StepGraphs", split: MemorySplit, batch_size: int, plan: Plan, rates: Sequence[float]
    ) -> None:
        self._graphs, self._split, self._plan, self._rates = step_graphs, split, plan, rates
        self._batch_size, self._full = batch_size, len(split) // batch_size
        self._packed: dict[int, torch.Tensor] = {}  # by size: the inputs of all its steps

    def make(self, number: int, needs_host: bool) -> int:
        start = number * self._batch_size
        size = min(self._batch_size, len(self._split) - start)
        replay = None if needs_host else self._graphs.replay(size)
        if replay is not None:
            replay(self._inputs(number, size))
            return size

        def step() -> None:
            self._graphs.step.set_rate(self._rates[number])
            self._graphs.step(*self._split.read(self._plan.part(start, start + size)))

        self._graphs.eagerly(step, size, needs_host)
        return size

    def _inputs(self, number: int, size: int) -> torch.Tensor:
        """The packed inputs of a step: a row of what was packed for all steps of its size."""
        is_full = size == self._batch_size
        if size not in self._packed:
            first, stop = (0, self._full) if is_full else (self._full, self._full + 1)
            plan = self._plan.part(first * self._batch_size, len(self._split))
            self._packed[size] = pack(plan, size, self._rates[first:stop])
        return self._packed[size][number if is_full else 0]


class StepGraphs:
    """The captured steps of a training, one for each size of batch.

    Attributes:
        step: what is captured.
        reason: why steps are not captured, as a clause; None: they are, after the first ones.
        replayed: whether any step was a replay.
        pool: the memory of all graphs.
    """

    def __init__(self, step: Step, split: Split, reason: str | None) -> None:
        self.step, self.reason, self.replayed = step, reason, False
        self.pool = None if reason else graphs.new_pool(step.device)
        self._split = split
        self._eager = Counter[int]()  # steps by size, but for those that needed the host
        self._replays: dict[int, Callable[[torch.Tensor], None]] = {}
        self._renewals = renewals()
        self._pace = graphs.Pace(step.device)

    def eagerly(self, step: Callable[[], None], size: int, needs_host: bool) -> None:
        """Run a step of this size; during the last one before the capture, check whether it can be captured."""
        if self.reason is not None or needs_host:
            step()
            return
        self._eager[size] += 1
        if self._eager[size] < graphs.WARM_UPS:
            step()
        elif reason := graphs.watch(step, self.step.model, self.step.device):
            self.give_up(f"the network cannot be captured: {reason}")

    def replay(self, size: int) -> Callable[[torch.Tensor], None] | None:
        """A function that replays a step of this size on packed inputs; None: the step has to run eagerly."""
        if self._renewals != renewals():
            self.release()
        if self.reason is None and size not in self._replays and self._eager[size] >= graphs.WARM_UPS:
            try:
                self._replays[size] = self._capture(size)
            except NotCapturable as error:
                self.give_up(f"the network cannot be captured: {error}")
        return self._replays.get(size)

    def release(self) -> None:
        """Drop the graphs and their memory; further steps capture new ones."""
        self._replays.clear()
        self._renewals = renewals()

    def give_up(self, reason: str) -> None:
        """Run all later steps eagerly, and warn of it."""
        self.reason = reason
        self.release()
        warnings.warn(f"training steps run eagerly, not as a CUDA graph: {reason}", RuntimeWarning, stacklevel=2)

    def _capture(self, size: int) -> Callable[[torch.Tensor], None]:
        step, split, inputs = self.step, self._split, StepInputs(size, self.step.device)
        assert isinstance(split, MemorySplit)

        def captured() -> None:
            if step.rate is not None:
                step.rate.copy_(inputs.rate())
            step(*split.read(inputs.plan()))

        with step.captured():
            launch = graphs.capture(captured, step.device, self.pool)

        def replay(values: torch.Tensor) -> None:
            inputs.values.copy_(values)
            launch()
            self.replayed = True
            self._pace.step()

        return replay
