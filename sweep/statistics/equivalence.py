"""Equivalence of paired samples."""

import math
from collections.abc import Sequence
from statistics import fmean

from scipy import special

from sweep.statistics.mean import spread


def equivalence_p(differences: Sequence[float], margin: float) -> float | None:
    """Two one-sided t-tests (Schuirmann 1987): p for "the mean difference is outside ±``margin``".

    The larger of the p-values of "at most −margin" and "at least +margin". It is below 0.05 exactly where the 90 %
    t-interval of the mean lies within the margin: the two are then called equivalent.

    None of fewer than two differences, and of equal ones, which have no spread.

    Raises:
        ValueError: a margin that is not above 0.
    """
    if margin <= 0:
        raise ValueError(f"a margin is above 0, not {margin}")
    std = spread(differences)
    if not std:
        return None
    error, room = std / math.sqrt(len(differences)), margin - abs(fmean(differences))  # to the nearer end
    return float(special.stdtr(len(differences) - 1, -room / error))
