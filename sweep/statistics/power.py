"""How many pairs tell a difference."""

import math

import numpy as np
from scipy import special

LEVEL, POWER = 0.05, 0.8
MOST = 10**9  # pairs; more are not looked for


def paired_power(pairs: int, effect: float, level: float = LEVEL) -> float:
    """The chance that the two-sided paired t-test of this level finds a true difference.

    With T′ of the noncentral t distribution, n − 1 degrees of freedom and noncentrality ``effect``·√n:

        P(T′ > t) + P(T′ < −t),    t the quantile 1 − level/2 of Student's distribution

    Args:
        pairs: n, at least 2.
        effect: the true mean difference over the standard deviation of the differences (Cohen's d), above 0.
        level: of the test.
    """
    freedom, shift = pairs - 1, effect * math.sqrt(pairs)
    limit = special.stdtrit(freedom, 1 - level / 2)
    lower = special.nctdtr(freedom, shift, -limit)
    power = 1 - special.nctdtr(freedom, shift, limit) + (0.0 if np.isnan(lower) else lower)
    return float(power)


def pairs_needed(difference: float, std: float, power: float = POWER, level: float = LEVEL) -> int | None:
    """The fewest pairs with which the paired t-test finds a true ``difference`` with this power; at least 2.

    Args:
        difference: above 0.
        std: of the paired differences.
        power: wanted.
        level: of the test.

    Returns:
        None if 10⁹ pairs are too few.
    """
    if std <= 0:
        return 2
    effect, enough = difference / std, 2
    while paired_power(enough, effect, level) < power:
        enough *= 2
        if enough > MOST:
            return None
    low = enough // 2  # too few, or 1
    while enough - low > 1:
        middle = (low + enough) // 2
        low, enough = (low, middle) if paired_power(middle, effect, level) >= power else (middle, enough)
    return enough
