"""Numbers of the statistics as texts: intervals, p-values, sparsities that may be censored. "–" where there is none."""

from sweep.report.names import measured_sparsity
from sweep.report.table import UNKNOWN
from sweep.statistics import Bound, Crossing, Interval
from sweep.text import percent


def points(fraction: float | None, sign: bool = False) -> str:
    """``0.9123`` -> ``91.23``: percent, or percentage points with a sign."""
    if fraction is None:
        return UNKNOWN
    return f"{100 * fraction:+z.2f}" if sign else f"{100 * fraction:z.2f}"


def points_interval(low: float | None, high: float | None, sign: bool = False) -> str:
    """``[90.01, 92.34]``."""
    return UNKNOWN if low is None or high is None else f"[{points(low, sign)}, {points(high, sign)}]"


def probability(interval: Interval | None) -> str:
    """``0.67 [0.21, 0.94]``."""
    if interval is None:
        return UNKNOWN
    return f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def p_value(p: float | None) -> str:
    """``0.0123`` -> ``0.012``; ``<0.001``."""
    if p is None:
        return UNKNOWN
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def sparsity_bound(bound: Bound | None) -> str:
    """``98.73%``; ``<90%`` below the lowest sparsity that was run, ``>99.9%`` above the highest."""
    if bound is None:
        return UNKNOWN
    if bound.side == "at":
        return measured_sparsity(bound.value)
    return f"{'<' if bound.side == 'below' else '>'}{percent(bound.value)}"


def crossing_text(crossing: Crossing | None) -> str:
    """``98.73% [98.10%, >99.9%]``."""
    if crossing is None:
        return UNKNOWN
    ends = f" [{sparsity_bound(crossing.low)}, {sparsity_bound(crossing.high)}]" if crossing.low else ""
    return f"{sparsity_bound(crossing.estimate)}{ends}"
