"""The probability of improvement over tasks (Agarwal et al. 2021, the library rliable)."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from sweep.statistics.interval import CONFIDENCE, Interval
from sweep.statistics.resampling import RESAMPLES, counts, percentiles

Name = TypeVar("Name", bound=Hashable)


def probabilities_of_improvement(
    tasks: Sequence[Mapping[Name, Sequence[float]]],
    pairs: Sequence[tuple[Name, Name]],
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """For each pair (X, Y) the mean over tasks of P(X > Y) = 1/(NK) Σᵢ Σⱼ S(xᵢ, yⱼ), S = 1 above, ½ for a tie, else 0.

    P is the Mann-Whitney statistic of the N runs of X and the K of Y on one task. The interval is the percentile
    interval of a stratified bootstrap: the runs of each method on each task are drawn among themselves. Of few runs
    such an interval is too narrow.

    Args:
        tasks: of each task the values by method, one a run; at least one task.
        pairs: of methods that every task has.
        confidence: of the intervals.
        resamples: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ValueError: no task.
    """
    if not tasks:
        raise ValueError("a probability of improvement takes one task or more")
    generator = np.random.default_rng(seed)
    estimates, drawn = np.zeros(len(pairs)), np.zeros((len(pairs), resamples))
    for task in tasks:
        draws = {name: counts(generator, len(runs), resamples) for name, runs in task.items()}
        for index, (first, second) in enumerate(pairs):
            wins = _wins(task[first], task[second])
            estimates[index] += wins.mean() / len(tasks)
            sums = np.einsum("rj,rj->r", draws[first] @ wins, draws[second])
            drawn[index] += sums / (wins.size * len(tasks))
    ends = [percentiles(row, confidence) for row in drawn]
    return [Interval(float(estimate), *end) for estimate, end in zip(estimates, ends, strict=True)]


def _wins(first: Sequence[float], second: Sequence[float]) -> np.ndarray:
    difference = np.subtract.outer(np.asarray(first, float), np.asarray(second, float))
    return np.where(difference > 0, 1.0, np.where(difference == 0, 0.5, 0.0))
