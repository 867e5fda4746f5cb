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
    generator, means = np.random.default_rng(seed), np.zeros(len(pairs))
    drawn = np.zeros((len(pairs), resamples))
    for task in tasks:
        draws = {name: counts(generator, len(runs), resamples) for name, runs in task.items()}
        for first in dict.fromkeys(first for first, _ in pairs):
            indices = [index for index, pair in enumerate(pairs) if pair[0] == first]
            others = [pairs[index][1] for index in indices]
            wins = _wins(task[first], np.concatenate([task[other] for other in others]))
            starts = np.cumsum([0, *(len(task[other]) for other in others[:-1])])
            sizes = [len(task[first]) * len(task[other]) * len(tasks) for other in others]
            means[indices] += np.add.reduceat(wins.sum(axis=0), starts) / sizes
            of_all = draws[first] @ wins * np.concatenate([draws[other] for other in others], axis=1)
            drawn[indices] += (np.add.reduceat(of_all, starts, axis=1) / sizes).T
    ends = [percentiles(row, confidence) for row in drawn]
    return [Interval(float(mean), *end) for mean, end in zip(means, ends, strict=True)]


def _wins(first: Sequence[float], second: np.ndarray) -> np.ndarray:
    """1 where a value of ``first`` (rows) is above one of ``second``, ½ for a tie, else 0."""
    difference = np.subtract.outer(np.asarray(first, float), second)
    return (np.sign(difference) / 2 + 0.5).astype(np.float32)  # sums of halves: exact up to 2²³
