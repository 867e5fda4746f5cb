"""Average ranks of several methods over several tasks (Demšar 2006)."""

import functools
import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ranks:
    """Average ranks; 1 is the best.

    Attributes:
        averages: one a method.
        tasks: number of tasks.
        p_friedman: p of Friedman's test that all methods are alike; None for fewer than three methods or two tasks.
        critical_difference: of two average ranks (Nemenyi); two methods closer than this are not told apart.
    """

    averages: tuple[float, ...]
    tasks: int
    p_friedman: float | None
    critical_difference: float | None


def average_ranks(scores: np.ndarray, level: float = 0.05) -> Ranks:
    """Ranks within each task, tied methods sharing the mean of theirs, averaged over tasks.

    Friedman's χ² (1937) has k − 1 degrees of freedom and is corrected for ties. Nemenyi's critical difference for k
    methods over N tasks is q √(k(k + 1)/6N), q the quantile 1 − level of the studentized range over √2.

    Args:
        scores: tasks × methods, higher is better.
        level: of the critical difference.
    """
    from scipy import stats  # takes a second to import

    tasks, methods = scores.shape
    averages = stats.rankdata(-scores, axis=1).mean(axis=0)
    if methods < 2 or tasks < 2:
        return Ranks(tuple(map(float, averages)), tasks, None, None)
    difference = _nemenyi_quantile(methods, level) * math.sqrt(methods * (methods + 1) / (6 * tasks))
    same = bool((scores == scores[:, :1]).all())  # Friedman's statistic is then 0 / 0
    p = None if methods < 3 else 1.0 if same else float(stats.friedmanchisquare(*scores.T).pvalue)
    return Ranks(tuple(map(float, averages)), tasks, p, difference)


@functools.cache
def _nemenyi_quantile(methods: int, level: float) -> float:
    from scipy import stats

    return float(stats.studentized_range.ppf(1 - level, methods, np.inf)) / math.sqrt(2)
