"""The 95 % t-interval of a mean, exact and without scipy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """mean ± t·s/√n with the sample standard deviation s and Student's t of n − 1 degrees of freedom.

    Raises:
        ValueError: fewer than two values, which have no standard deviation.
    """
    if len(values) < 2:
        raise ValueError(f"an interval takes two values or more, not {len(values)}")
    centre = fmean(values)
    half_width = t_quantile(confidence, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(centre, centre - half_width, centre + half_width)


def t_quantile(confidence: float, freedom: int) -> float:
    """The t with P(−t < T < t) = ``confidence``, T of Student's distribution with ``freedom`` degrees of freedom."""
    low, high = 0.0, 1.0
    while within(high, freedom) < confidence:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break  # low and high are neighbouring floats
        low, high = (middle, high) if within(middle, freedom) < confidence else (low, middle)
    return high


def within(t: float, freedom: int) -> float:
    """P(−t < T < t) for whole degrees of freedom ν, a finite sum (Abramowitz & Stegun 26.7.3 and 26.7.4).

    With θ = arctan(t/√ν):  ν even  sin θ · (1 + 1/2 cos²θ + (1·3)/(2·4) cos⁴θ + … + cos^(ν−2)θ term)
                            ν odd   2/π · (θ + sin θ · (cos θ + 2/3 cos³θ + … + cos^(ν−2)θ term))
    """
    if freedom < 1:
        raise ValueError(f"freedom: must be at least 1, not {freedom}")
    angle, odd = math.atan(t / math.sqrt(freedom)), freedom % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for power in range(odd, freedom - 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (power + 1) / (power + 2)
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
