"""Arithmetic mean and sample standard deviation: the same in any order of the values."""

import math
from collections.abc import Sequence
from statistics import fmean

_ROUNDING = 1e-9  # differences of accuracies that agree to this share count as equal


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


def spread(differences: Sequence[float]) -> float | None:
    """:func:`sample_std` of paired differences, 0 too where only rounding tells them apart (0.9 − 0.8, 0.8 − 0.7)."""
    std = sample_std(differences)
    return 0.0 if std is not None and std <= _ROUNDING * max(map(abs, differences)) else std
