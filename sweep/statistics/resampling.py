"""Bootstrap samples (Efron 1979): values drawn with replacement."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from sweep.statistics.interval import CONFIDENCE, t_quantile

RESAMPLES = 2000


def indices(generator: np.random.Generator, count: int, resamples: int) -> np.ndarray:
    """Indices below ``count``, one row of ``count`` a resample."""
    return generator.integers(0, count, (resamples, count))


def counts(generator: np.random.Generator, count: int, resamples: int) -> np.ndarray:
    """How often each of ``count`` values is drawn, one row a resample."""
    cells = indices(generator, count, resamples) + count * np.arange(resamples)[:, None]
    return np.bincount(cells.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float32)


def percentiles(estimates: Sequence[float] | np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The ends of the percentile interval. Estimates may be infinite: no two are averaged."""
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(np.asarray(estimates), ends, method="inverted_cdf")
    return float(low), float(high)


def expanded(confidence: float, count: int) -> float:
    """The confidence to ask :func:`percentiles` for, so that the interval of a mean-like estimate is not too narrow.

    Percentiles of a bootstrap of n values behave like mean ± z·s √((n − 1)/n)/√n. To have Student's width, the ends
    are taken at Φ(∓t √(n/(n − 1))) instead (Hesterberg 2015, "expanded percentile interval").
    """
    return 1 - 2 * float(special.ndtr(-math.sqrt(count / (count - 1)) * t_quantile(confidence, count - 1)))
