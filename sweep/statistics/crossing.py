"""Where a curve falls to another, by linear interpolation, with a bootstrap interval over seeds."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sweep.statistics.interval import CONFIDENCE
from sweep.statistics.resampling import RESAMPLES, counts, expanded, percentiles

Side = Literal["at", "below", "above"]


@dataclass(frozen=True)
class Bound:
    """A place on an axis: at ``value``, or somewhere below or above it (a censored value)."""

    value: float
    side: Side = "at"


@dataclass(frozen=True)
class Crossing:
    """Where the curves meet, and the ends of its interval: None where seeds are too few for one."""

    estimate: Bound
    low: Bound | None
    high: Bound | None


def crossing(
    places: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
    *,
    last: bool = False,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Crossing | None:
    """The first place where the mean of ``upper`` over seeds is no longer above the mean of ``lower``.

    Between two places both means are interpolated linearly, so what is linear is the caller's choice of coordinate.
    If upper is not above at the first place, the crossing is ``below`` it; if it is above everywhere, ``above`` the
    last place.
    The interval is the expanded percentile interval (:func:`sweep.statistics.resampling.expanded`) of a bootstrap over
    seeds: rows are drawn with replacement, those of both curves together. Its ends may be censored likewise.

    Args:
        places: rising coordinates, one a column.
        upper: seeds × places; NaN where a run is missing.
        lower: likewise, rows of the same seeds.
        last: of several crossings take the last: upper is nowhere above beyond it. It is ``above`` the last place if
            upper is above there, and ``below`` the first if it is above nowhere.
        confidence: of the interval.
        resamples: bootstrap samples.
        seed: of the bootstrap.

    Returns:
        None where no place has both curves.
    """
    known = ~(np.isnan(upper).all(axis=0) | np.isnan(lower).all(axis=0))
    places, upper, lower = places[known], upper[:, known], lower[:, known]
    if not known.any():
        return None
    find, once = _last if last else _first, np.ones((1, len(upper)))
    estimate = _bound(places, find(places, _gaps(once, upper, lower))[0])
    if len(upper) < 2:
        return Crossing(estimate, None, None)
    gaps = _gaps(counts(np.random.default_rng(seed), len(upper), resamples), upper, lower)
    low, high = percentiles(find(places, gaps[~np.isnan(gaps).all(axis=1)]), expanded(confidence, len(upper)))
    return Crossing(estimate, _bound(places, low), _bound(places, high))


def _gaps(drawn: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Mean of upper minus mean of lower, resamples × places; NaN where a resample has no run of one.

    Args:
        drawn: how often each seed is drawn, resamples × seeds.
        upper: seeds × places.
        lower: likewise.
    """
    means = []
    for curve in (upper, lower):
        runs = drawn @ (~np.isnan(curve)).astype(drawn.dtype)
        means.append(np.divide(drawn @ np.nan_to_num(curve), runs, out=np.full(runs.shape, np.nan), where=runs > 0))
    return means[0] - means[1]


def _first(places: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Where each row is first 0 or below: −∞ if below at its first place, ∞ if nowhere. NaN is passed over."""
    found = np.full(len(gaps), np.nan)
    before_place, before_gap = np.full(len(gaps), np.nan), np.full(len(gaps), np.nan)
    for place, gap in zip(places, gaps.T, strict=True):
        fallen = np.isnan(found) & (gap <= 0)
        with np.errstate(invalid="ignore", divide="ignore"):  # where a row has not fallen, nothing is used
            between = before_place + (place - before_place) * before_gap / (before_gap - gap)
        at_first = np.where(gap == 0, place, -np.inf)
        found = np.where(fallen, np.where(np.isnan(before_gap), at_first, between), found)
        known = ~np.isnan(gap)
        before_place, before_gap = np.where(known, place, before_place), np.where(known, gap, before_gap)
    return np.where(np.isnan(found), np.inf, found)


def _last(places: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Beyond where each row is nowhere above 0: ∞ if above at its last place, −∞ if above nowhere. NaN is passed over.

    Seen from the other end it is where a row first rises above 0.
    """
    found = np.full(len(gaps), np.nan)
    next_place, next_gap = np.full(len(gaps), np.nan), np.full(len(gaps), np.nan)
    for place, gap in zip(places[::-1], gaps.T[::-1], strict=True):
        above = np.isnan(found) & (gap > 0)
        with np.errstate(invalid="ignore", divide="ignore"):  # where a row is not above, nothing is used
            between = place + (next_place - place) * gap / (gap - next_gap)
        found = np.where(above, np.where(np.isnan(next_gap), np.inf, between), found)
        known = ~np.isnan(gap)
        next_place, next_gap = np.where(known, place, next_place), np.where(known, gap, next_gap)
    return np.where(np.isnan(found), -np.inf, found)


def _bound(places: np.ndarray, value: float) -> Bound:
    if value == -math.inf:
        return Bound(float(places[0]), "below")
    return Bound(float(places[-1]), "above") if value == math.inf else Bound(float(value))
