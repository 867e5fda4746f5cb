"""How long a trial takes, from what others took, and how sure that is."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, median, stdev
from typing import NamedTuple

from sweep.launch.budget.measured import Sample
from sweep.launch.pace import Pace
from sweep.trial.work import Kind, Work

# Relative errors (one standard deviation) that repetitions do not show, of a trial's seconds by those of
SAME = 0.05  # trials of the same kind and recipe: the machine is as fast as it was then
PIECES = 0.10  # pieces of such a trial, or other trials with as long steps and rounds
SPARSITY = 0.15  # trials of the same method at another sparsity
METHOD = 0.25  # trials of the same network with another method
NETWORK = 1.0  # trials of another network
ALONE = 0.10  # the spread of a number that was measured once


class Estimate(NamedTuple):
    """Seconds of a trial, their relative error (one standard deviation), and where they come from.

    Attributes:
        trials: like trials of the store that it was averaged over; 0 where it was put together from rounds and steps.
    """

    seconds: float
    error: float
    trials: int = 0


class Estimator:
    """Estimates trials of any kind from samples.

    Args:
        samples: of one kind of hardware.
    """

    def __init__(self, samples: Sequence[Sample]):
        self._exact: dict[Kind, list[float]] = defaultdict(list)
        by_architecture: dict[str, list[Sample]] = defaultdict(list)
        self._training_rates: dict[Kind, list[float]] = defaultdict(list)
        for sample in samples:
            by_architecture[sample.kind.architecture].append(sample)
            if sample.is_exact:
                self._exact[sample.kind].append(sample.seconds)
            if sample.work.training:
                self._training_rates[sample.kind].append(sample.training / sample.work.training)
        self._paces = {label: _pace(of) for label, of in by_architecture.items()}
        self._any = _pace(samples)
        self._kinds = {sample.kind for sample in samples}
        self._spread = _pooled_spread([*self._exact.values(), *self._training_rates.values()])

    def estimate(self, kind: Kind, work: Work | None) -> Estimate | None:
        """Of a trial of this kind, with so much work; None where nothing tells."""
        if exact := self._exact.get(kind):
            return Estimate(fmean(exact), math.hypot(SAME, self._error_of(exact)), len(exact))
        if work is None:
            return None
        seconds = self._paces.get(kind.architecture, self._any).seconds(kind, work)
        return None if seconds is None else Estimate(seconds, self._distance(kind))

    def _distance(self, kind: Kind) -> float:
        """The relative error of an estimate from the closest kinds that were measured."""
        if kind in self._kinds:
            return math.hypot(PIECES, self._error_of(self._training_rates[kind]))
        if any(other[:2] == kind[:2] for other in self._kinds):
            return SPARSITY
        return METHOD if kind.architecture in self._paces else NETWORK

    def _error_of(self, values: Sequence[float]) -> float:
        """The relative standard error of their mean; with the usual spread where there are too few to have one."""
        spread = _spread(values) if len(values) > 2 else self._spread
        return spread / math.sqrt(max(1, len(values)))


def _pace(samples: Iterable[Sample]) -> Pace:
    """The pace that samples tell, with the median of what trials take besides: first ones of a process take longer."""
    pace, others = Pace(), []
    for sample in samples:
        if sample.work.pruning:
            pace.pruning.add(sample.kind, sample.work.pruning, sample.pruning)
        if sample.work.training:
            pace.training.add(sample.kind, sample.work.training, sample.training)
        others.append(sample.other)
    pace.other = median(others) if others else 0.0
    return pace


def _spread(values: Sequence[float]) -> float:
    mean = fmean(values)
    return stdev(values) / mean if mean else 0.0


def _pooled_spread(groups: Iterable[Sequence[float]]) -> float:
    """The usual relative spread within groups of repetitions; :data:`ALONE` where there are none."""
    spreads = [_spread(group) for group in groups if len(group) > 1]
    return math.sqrt(fmean(spread**2 for spread in spreads)) if spreads else ALONE
