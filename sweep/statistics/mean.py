"""Arithmetic mean and sample standard deviation: the same in any order of the values."""

import math
from collections.abc import Sequence
from statistics import fmean


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None of no values."""
    return fmean(values) if values else None


def sample_std(values: Sequence[float]) -> float | None:
    """Standard deviation with n − 1, exactly 0 of equal values; None of fewer than two values."""
    if len(values) < 2:
        return None
    lowest = min(values)
    heights = [value - lowest for value in values]
    centre = fmean(heights)
    return math.sqrt(math.fsum((height - centre) ** 2 for height in heights) / (len(values) - 1))
