"""Arithmetic mean and sample standard deviation, exact to the last digit and in any order of the values."""

import statistics
from collections.abc import Sequence


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None of no values."""
    return statistics.fmean(values) if values else None


def sample_std(values: Sequence[float]) -> float | None:
    """Standard deviation with n − 1; None of fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None
