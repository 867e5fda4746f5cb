"""Intervals: Student's t for a mean, Wilson's for a rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy import special

from sweep.statistics.mean import sample_std

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its interval."""

    estimate: float
    low: float
    high: float


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """mean ± t·s/√n, with the sample standard deviation s and Student's t of n − 1 degrees of freedom (Student 1908).

    Raises:
        ValueError: fewer than two values, which have no standard deviation.
    """
    std = sample_std(values)
    if std is None:
        raise ValueError(f"an interval takes two values or more, not {len(values)}")
    centre = fmean(values)
    half_width = t_quantile(confidence, len(values) - 1) * std / math.sqrt(len(values))
    return Interval(centre, centre - half_width, centre + half_width)


def t_quantile(confidence: float, freedom: int) -> float:
    """The t with P(−t < T < t) = ``confidence``, T of Student's distribution with ``freedom`` degrees of freedom."""
    return float(special.stdtrit(freedom, (1 + confidence) / 2))


def wilson_interval(successes: float, trials: float, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of a rate p = ``successes`` / ``trials`` (Wilson 1927), z the normal quantile:

        (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)

    It is never empty and stays within 0 and 1. Fractions are allowed: ties as half successes, an effective sample size.

    Raises:
        ValueError: no trials.
    """
    if trials <= 0:
        raise ValueError("a rate takes one trial or more")
    rate, z = successes / trials, float(special.ndtri((1 + confidence) / 2))
    scale = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half_width = z / scale * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    low, high = max(0.0, centre - half_width), min(1.0, centre + half_width)
    return Interval(rate, 0.0 if successes == 0 else low, 1.0 if successes == trials else high)
