"""The median of censored values: how far half of the runs get."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweep.statistics.crossing import Bound
from sweep.statistics.interval import CONFIDENCE, wilson_interval


@dataclass(frozen=True)
class Run:
    """How far one run was followed on an axis.

    Attributes:
        last: the farthest place where it was seen.
        ended: whether it had ended there; otherwise it is censored: it ends somewhere beyond.
    """

    last: float
    ended: bool


@dataclass(frozen=True)
class MedianSurvival:
    """The farthest place that more than half of the runs pass, and the ends of its interval."""

    estimate: Bound
    low: Bound
    high: Bound


def median_survival(
    places: Sequence[float], runs: Sequence[Run], confidence: float = CONFIDENCE
) -> MedianSurvival | None:
    """From the product-limit estimate S of the share of runs that pass each place (Kaplan & Meier 1958).

    The estimate is the last place with S above one half: ``below`` the first place if S is not above there, ``above``
    the last if it is above everywhere. The interval has the places where the upper and lower end of S's interval are
    above one half (Brookmeyer & Crowley 1982). That interval is Wilson's, with the sample size S(1 − S) / (S² G) for
    Greenwood's sum G, or all runs where S is 0 or 1 (Rothman 1978): it is never empty, unlike Greenwood's.

    Args:
        places: rising; where runs were looked at.
        runs: each of which ends, or is last seen, at one of the places.
        confidence: of the interval.

    Returns:
        None of no runs.
    """
    if not runs:
        return None
    share, greenwood = 1.0, 0.0
    shares = []
    for place in places:
        at_risk = sum(run.last >= place for run in runs)
        if not at_risk:
            break
        ends = sum(run.ended and run.last == place for run in runs)
        share *= 1 - ends / at_risk
        greenwood += ends / (at_risk * (at_risk - ends)) if at_risk > ends else 0.0
        size = (1 - share) / (share * greenwood) if 0 < share < 1 else len(runs)
        interval = wilson_interval(share * size, size, confidence)
        shares.append((share, interval.low, interval.high))
    estimate, low, high = (_last_above_half(places, column) for column in zip(*shares, strict=True))
    return MedianSurvival(estimate, low, high)


def _last_above_half(places: Sequence[float], shares: Sequence[float]) -> Bound:
    """``shares``: falling, of the first places; later places have no runs left."""
    above = sum(share > 0.5 + 1e-9 for share in shares)  # 2/3 · 3/4 is a half, and a little more in floats
    if not above:
        return Bound(places[0], "below")
    return Bound(places[above - 1], "above" if above == len(shares) else "at")
