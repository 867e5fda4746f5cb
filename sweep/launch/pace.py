"""The pace of trials and the time left, as pure functions of what has ended, what runs and what waits."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sweep.trial.work import Kind, Work

_LEAST_SHARE, _LEAST_SECONDS = 0.01, 20.0  # a training that has done more, or run longer, tells how fast others are


class Running(NamedTuple):
    """A running trial, as it was last heard of.

    Attributes:
        kind: of the trial.
        work: that is expected of it.
        pruned, trained: the shares of its pruning and its training that are done.
        begun: the share of the one that it is at, when that was first heard of.
        seconds: between the first and the last report of it.
        since: seconds since that last report.
    """

    kind: Kind
    work: Work
    pruned: float = 0.0
    trained: float = 0.0
    begun: float = 0.0
    seconds: float = 0.0
    since: float = 0.0

    @property
    def is_training(self) -> bool:
        """Whether its pruning is over."""
        return self.pruned >= 1

    @property
    def advance(self) -> float:
        """The share of its pruning or training that was done between the first and the last report of it."""
        return (self.trained if self.is_training else self.pruned) - self.begun

    @property
    def is_telling(self) -> bool:
        """Whether the speed of its training tells that of others."""
        enough = self.advance >= _LEAST_SHARE or self.seconds >= _LEAST_SECONDS
        return self.is_training and self.advance > 0 and enough


class Ended(NamedTuple):
    """All completed trials of one kind: how many, and their seconds in all, of pruning and of training."""

    number: int = 0
    seconds: float = 0.0
    pruning: float = 0.0
    training: float = 0.0


class Rates:
    """Seconds for an amount of work: as trials of the same kind take, else of the same method, network, or all.

    Args:
        methods_differ: whether those of another method tell nothing.
    """

    def __init__(self, methods_differ: bool = False) -> None:
        self._sums: dict[tuple[object, ...], tuple[float, float]] = {}  # seconds and work
        self._first = slice(2 if methods_differ else None)

    def add(self, kind: Kind, work: float, seconds: float) -> None:
        """Count what some work of a trial took."""
        for key in _keys(kind):
            before = self._sums.get(key, (0.0, 0.0))
            self._sums[key] = before[0] + seconds, before[1] + work

    def seconds(self, kind: Kind, work: float) -> float | None:
        """What so much work of a trial takes; None where nothing like it is known."""
        if work == 0:
            return 0.0
        for key in _keys(kind)[self._first]:
            seconds, done = self._sums.get(key, (0.0, 0.0))
            if done:
                return work * seconds / done
        return None


def _keys(kind: Kind) -> tuple[tuple[object, ...], ...]:
    return (kind, kind[:2], kind[:1], ())


@dataclass
class Pace:
    """How long trials take, from those that have ended and those that train.

    Attributes:
        whole: seconds of a trial, of kinds of which some have completed.
        pruning, training: of the others.
        other: seconds that a trial takes besides.
    """

    whole: dict[Kind, float] = field(default_factory=dict)
    pruning: Rates = field(default_factory=lambda: Rates(methods_differ=True))
    training: Rates = field(default_factory=Rates)
    other: float = 0.0

    @classmethod
    def of(cls, ended: Mapping[Kind, Ended], running: Iterable[Running], works: Mapping[Kind, Work]) -> "Pace":
        """The pace that completed and running trials tell."""
        pace = cls()
        for kind, sums in ended.items():
            pace.whole[kind] = sums.seconds / sums.number
            pace.pruning.add(kind, sums.number * works[kind].pruning, sums.pruning)
            pace.training.add(kind, sums.number * works[kind].training, sums.training)
        for trial in running:
            if trial.is_telling:
                pace.training.add(trial.kind, trial.advance * trial.work.training, trial.seconds)
        number = sum(sums.number for sums in ended.values())
        besides = sum(sums.seconds - sums.pruning - sums.training for sums in ended.values())
        pace.other = max(0.0, besides / number) if number else 0.0
        return pace

    def seconds(self, kind: Kind, work: Work) -> float | None:
        """What a trial takes. None where no training tells it; a method that has not pruned yet is as fast as that."""
        if kind in self.whole:
            return self.whole[kind]
        training, pruning = self.training.seconds(kind, work.training), self.pruning.seconds(kind, work.pruning)
        pruning = self.training.seconds(kind, work.pruning) if pruning is None else pruning
        return None if training is None or pruning is None else pruning + training + self.other

    def rest(self, trial: Running) -> float | None:
        """What a running trial still takes: as is usual, and the farther it is, by its own speed."""
        whole = self.seconds(trial.kind, trial.work)
        training = self.training.seconds(trial.kind, trial.work.training)
        if whole is None or training is None:
            return None
        own = trial.seconds / trial.advance if trial.advance > 0 else None
        if trial.is_training:
            return max(0.0, self.other + _left(training, own, trial.trained) - trial.since)
        before = max(0.0, whole - training - self.other)  # the usual pruning
        return max(0.0, self.other + training + _left(before, own, trial.pruned) - trial.since)


def _left(usual: float, own: float | None, done: float) -> float:
    """Seconds left of what usually takes ``usual``, and at its own speed ``own``, of which a share is done."""
    whole = usual if own is None else (1 - done) * usual + done * own
    return (1 - done) * whole


def seconds_left(
    pace: Pace, running: Sequence[Running], waiting: Sequence[tuple[Kind, Work]], slots: int
) -> float | None:
    """Seconds until all trials have ended, if the waiting ones start in their order, ``slots`` at once.

    None where nothing tells yet how fast they are.

    Args:
        pace: of them.
        running: the running ones.
        waiting: kind and work of those that have not started.
        slots: how many run at once.
    """
    lengths = {kind: pace.seconds(kind, work) for kind, work in dict(waiting).items()}
    rests = [pace.rest(trial) for trial in running]
    if None in rests or None in lengths.values():
        return None
    return makespan([rest or 0.0 for rest in rests], (lengths[kind] or 0.0 for kind, _ in waiting), slots)


def makespan(running: Sequence[float], waiting: Iterable[float], slots: int) -> float:
    """Seconds until the last trial has ended: each waiting one starts where a slot is free first."""
    free = [*running, *([0.0] * (slots - len(running)))] or [0.0]
    heapq.heapify(free)
    for seconds in waiting:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
