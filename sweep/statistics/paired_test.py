"""Two-sided p-values for "the mean of these paired differences is 0"."""

import functools
import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from scipy import special

from sweep.statistics.mean import spread

EXACT_UP_TO = 12  # differences: beyond, 2ⁿ sign patterns are sampled
SAMPLES = 10_000
_ROUNDING = 1e-9  # share of the sum within which two patterns count as equally far from 0


def paired_t_p(differences: Sequence[float]) -> float | None:
    """Student's paired t-test: t = mean·√n / s with n − 1 degrees of freedom (Student 1908).

    Equal differences have no spread, and t would be infinite: of few test images that is chance, not certainty. p is
    then :func:`sign_flip_p`, which assumes no spread: 2 / 2ⁿ, or 1 if all are 0.

    None of fewer than two differences.
    """
    std = spread(differences)
    if not std:
        return sign_flip_p(differences)
    t = abs(fmean(differences)) * math.sqrt(len(differences)) / std
    return float(2 * special.stdtr(len(differences) - 1, -t))


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float | None:
    """Sign-flip permutation test: if the hypothesis holds, each difference has either sign equally often (Fisher 1935).

    p is the share of sign patterns whose mean is at least as far from 0. All 2ⁿ patterns are counted up to
    n = 12, so p is never below 2 / 2ⁿ (0.25 for three differences). Beyond, 10,000 random patterns are drawn, and
    p = (1 + extreme) / (1 + drawn), which keeps the level (Phipson & Smyth 2010).

    None of fewer than two differences.
    """
    count = len(differences)
    if count < 2:
        return None
    values = np.asarray(differences, float)
    limit = abs(values.sum()) - _ROUNDING * np.abs(values).sum()
    extreme = int((np.abs(_signs(count, seed) @ values) >= limit).sum())
    if count <= EXACT_UP_TO:
        return extreme / 2 ** (count - 1)
    return (1 + extreme) / (1 + SAMPLES)


@functools.lru_cache(maxsize=16)
def _signs(count: int, seed: int) -> np.ndarray:
    """Rows of ±1. The first sign of all patterns is +: a pattern and its negative are equally far from 0."""
    if count > EXACT_UP_TO:
        return np.random.default_rng(seed).choice([-1.0, 1.0], (SAMPLES, count))
    patterns = np.arange(2 ** (count - 1))[:, None] >> np.arange(count) & 1
    return 1.0 - 2.0 * patterns
