"""What a trial takes of a GPU that it has for itself: memory, steps a second, and how long the GPU works on a step.

Measured by trials that are stopped after a few rounds of pruning and a second of training: the code that runs is that
of every trial. On a CPU everything runs too, with the process's memory and a device that is always busy.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import median

import torch

import pruning
from sweep.config.trial_config import TrialConfig
from sweep.trial import provenance
from sweep.trial.attempts import renew
from sweep.trial.callbacks import Callbacks, Interrupted
from sweep.trial.checkpoints import Checkpointer, NoCheckpoints
from sweep.trial.experiment import Experiment
from sweep.trial.progress import Progress
from sweep.trial.settings import RunSettings
from sweep.trial.setup import AnyDataset
from sweep.trial.work import rounds, with_rounds
from training.loop import Diverged

ROUNDS = 3  # of pruning: by then its passes are captured, and later rounds take no more memory
WARM_UPS = 8  # steps: the eager ones, the capture, and what libraries choose in their first calls
SECONDS, LEAST_STEPS, MOST_STEPS = 1.0, 5, 50  # for the pace of training: so long, within these numbers of steps
TIMED = 5  # single steps, for the GPU's part in them
MOST_SECONDS = 300.0  # for one architecture
CONTEXT_BYTES = 2 * 2**30  # more than a process takes of a GPU beside PyTorch's own memory
CYCLES = 2_000_000_000  # of a GPU in a second, at most


class NotMeasured(Exception):
    """An architecture could not be measured; the message says why, as a clause."""


@dataclass(frozen=True)
class GpuUse:
    """What one trial of an architecture takes of a GPU, alone on it.

    Attributes:
        card: the GPU's name.
        card_bytes: its memory.
        trial_bytes: memory of one trial: the peak of pruning and training, and the process's context.
        step_seconds: wall time of a training step.
        gpu_seconds: how long the GPU works on a step.
    """

    card: str
    card_bytes: int
    trial_bytes: int
    step_seconds: float
    gpu_seconds: float

    @property
    def busy(self) -> float:
        """Share of the time in which the GPU works: its time for a step × steps a second."""
        return min(1.0, self.gpu_seconds / self.step_seconds)


def measure(trials: Sequence[TrialConfig], dataset: AnyDataset, settings: RunSettings) -> GpuUse:
    """The use of trials of one architecture, one a method: of the one that needs most memory, and of the busiest.

    The complete network is trained, without compaction: trials with smaller ones need less.

    Raises:
        NotMeasured: other processes use the GPU, or training has too few steps or takes too long.
        torch.OutOfMemoryError, and whatever else a trial fails with.
    """
    settings = replace(settings, compute=replace(settings.compute, compact=False))
    deadline = time.monotonic() + MOST_SECONDS
    uses = [_measured(trial, dataset, settings, deadline) for trial in trials]
    return replace(max(uses, key=lambda use: use.busy), trial_bytes=max(use.trial_bytes for use in uses))


def context_bytes(used: int, reserved: int) -> int:
    """What is used of a GPU beside the memory that PyTorch has reserved in this process: the process's context.

    Raises:
        NotMeasured: it is more than a context takes.
    """
    if used - reserved > CONTEXT_BYTES:
        raise NotMeasured(f"other processes use {(used - reserved) / 1e9:.1f} GB of the GPU")
    return used - reserved


def _measured(trial: TrialConfig, dataset: AnyDataset, settings: RunSettings, deadline: float) -> GpuUse:
    device = torch.device(settings.device)
    renew()
    provenance.reset_peak_memory(settings.device)
    has_rounds = pruning.find(trial.method.name).rounds is not None
    if has_rounds:
        _run(trial, dataset, settings, deadline, _StopAfter(ROUNDS) if rounds(trial) > ROUNDS else None, lambda: True)
    clock = _StepClock(device)
    _run(with_rounds(trial, 1) if has_rounds else trial, dataset, settings, deadline, None, clock)
    if clock.step_seconds is None or clock.gpu_seconds is None:
        raise NotMeasured(f"its training ends after {clock.steps} steps, too few to time")
    memory = _peak_memory(device)
    card, card_bytes = provenance.device_name(settings.device), provenance.device_memory(settings.device)
    return GpuUse(card, card_bytes, memory, clock.step_seconds, clock.gpu_seconds)


def _run(
    trial: TrialConfig,
    dataset: AnyDataset,
    settings: RunSettings,
    deadline: float,
    after_round: Callable[[], bool] | None,
    after_step: Callable[[], bool],
) -> None:
    """Run a trial without a record until one of the functions, called after every round and every step, returns True.

    Raises:
        NotMeasured: the deadline has passed.
    """
    progress = Progress("")

    def stopping() -> bool:
        if time.monotonic() > deadline:
            raise NotMeasured(f"measuring takes longer than {MOST_SECONDS:.0f} s")
        if "prune_seconds" in progress.fields:  # pruning has ended
            return after_step()
        return after_round is not None and after_round()

    checkpointer = Checkpointer(NoCheckpoints(), "", settings.compute.checkpoint_minutes)
    callbacks = Callbacks(lambda record: None, stopping)
    experiment = Experiment(trial, dataset, settings, progress=progress, checkpointer=checkpointer, callbacks=callbacks)
    with suppress(Interrupted, Diverged):  # a trial that diverges has taken its memory and its steps
        experiment.run(None)


class _StopAfter:
    """True from the call after the given number on: rounds are announced before they begin."""

    def __init__(self, rounds: int):
        self._left = rounds

    def __call__(self) -> bool:
        self._left -= 1
        return self._left < 0


class _StepClock:
    """Called after every step: times them, and returns True when it has.

    Attributes:
        steps: so far.
        step_seconds: wall time of a step; None: not yet.
        gpu_seconds: how long the GPU works on a step, median of some.
    """

    def __init__(self, device: torch.device):
        self.steps = 0
        self.step_seconds: float | None = None
        self.gpu_seconds: float | None = None
        self._device = device
        self._script = self._time()

    def __call__(self) -> bool:
        self.steps += 1
        return next(self._script, True)

    def _time(self) -> Iterator[bool]:
        """Each ``yield False`` is one more step."""
        for _ in range(WARM_UPS):
            yield False
        self._synchronize()
        began, first = time.perf_counter(), self.steps
        while self.steps - first < LEAST_STEPS or (
            self.steps - first < MOST_STEPS and time.perf_counter() - began < SECONDS
        ):
            yield False
        self._synchronize()
        step_seconds = (time.perf_counter() - began) / (self.steps - first)
        timer = _GpuTimer(2 * step_seconds) if self._device.type == "cuda" else _WallTimer()
        times = []
        for _ in range(TIMED):
            timer.start()
            yield False
            times.append(timer.stop())
        self.step_seconds, self.gpu_seconds = step_seconds, median(times)

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class _GpuTimer:
    """Times what is launched between its calls, as if the host took no time to launch it.

    The GPU first waits for a while, in which the host launches all of it: then its work has no gaps. A step that itself
    waits for the GPU is launched after that, and is timed with its gaps: its trial seems to keep the GPU busier.

    Args:
        seconds: of the wait.
    """

    def __init__(self, seconds: float):
        self._cycles = int(min(1.0, max(0.02, seconds)) * CYCLES)
        self._events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def start(self) -> None:
        torch.cuda._sleep(self._cycles)  # a kernel that does nothing for so long
        self._events[0].record()

    def stop(self) -> float:
        self._events[1].record()
        self._events[1].synchronize()
        return self._events[0].elapsed_time(self._events[1]) / 1000


class _WallTimer:
    """The same on a CPU."""

    def __init__(self) -> None:
        self._began = 0.0

    def start(self) -> None:
        self._began = time.perf_counter()

    def stop(self) -> float:
        return time.perf_counter() - self._began


def _peak_memory(device: torch.device) -> int:
    """Bytes that a process like this one needs of the device."""
    if device.type != "cuda":
        return provenance.peak_memory(str(device)) or 0
    free, total = torch.cuda.mem_get_info(device)
    context = context_bytes(total - free, torch.cuda.memory_reserved(device))
    return torch.cuda.max_memory_reserved(device) + context
