"""Sentences drawn from comparisons: which method beats which, by how much, and where the runs cannot tell.

Plain text from numbers. Differences are in percentage points with their 95 % interval, p-values by Holm's correction.
"""

from collections.abc import Sequence

from sweep.report.cells import Cell
from sweep.report.comparison import Comparison
from sweep.report.comparisons import FEWEST
from sweep.report.names import method_name
from sweep.report.number_text import p_value


def points(fraction: float, decimals: int = 1, signed: bool = False) -> str:
    """``0.312`` -> ``31.2``, with a minus sign as it is set in print."""
    text = f"{100 * fraction:{'+' if signed else ''}.{decimals}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{decimals}f}"


def difference(comparison: Comparison) -> str:
    """``31.2 points [25.4, 37.0], n = 3, Holm p = 0.01``; what is unknown is left out."""
    mean, low, high = comparison.mean or 0.0, comparison.low, comparison.high
    decimals = _decimals(comparison)
    interval = "" if low is None or high is None else f" [{points(low, decimals)}, {points(high, decimals)}]"
    holm = "" if comparison.p_holm is None else f", Holm p = {p_value(comparison.p_holm)}".replace("= <", "< ")
    equal = " in every seed" if comparison.without_spread else ""
    return f"{points(mean, decimals)} points{interval}{equal}, n = {comparison.n}{holm}"


def verdict(comparison: Comparison, margin: float) -> str:
    """One sentence on one comparison.

    Args:
        comparison: of methods A and B.
        margin: within which two methods are equivalent, as a fraction.
    """
    a, b = method_name(comparison.method_a), method_name(comparison.method_b)
    if comparison.n < FEWEST:
        return _too_few(comparison, a, b)
    if (comparison.mean or 0.0) < 0 and comparison.significant:
        return verdict(comparison.reversed(), margin)
    within = f"within ±{100 * margin:g} points"
    if comparison.significant:
        small = f"; but the two are equivalent {within}" if comparison.equivalent else ""
        return f"{a} beats {b} by {difference(comparison)}{small}."
    if comparison.equivalent:
        return f"{a} and {b} are equivalent {within}: {a} minus {b} is {difference(comparison)}."
    return f"{a} and {b} cannot be told apart: {a} minus {b} is {difference(comparison)}{_needed(comparison)}."


def at_chance(cell: Cell) -> str:
    """``SNIP: 3 of 3 runs at chance``; the interval is Wilson's, of the rate. Empty where none is."""
    if not cell.collapsed:
        return ""
    total, collapsed = len(cell.completed), len(cell.collapsed)
    rate = f"{collapsed} of {total} runs" if total > 1 else "its only run"
    trained = "" if cell.mean is None else f"; {100 * cell.mean:.2f}% where it trained (n = {cell.n})"
    return f"{method_name(cell.method_label)}: {rate} at chance{trained}"


def accuracy(cell: Cell) -> str:
    """``98.10% [97.52, 98.68], n = 5``: mean of the runs that trained, with its 95 % t-interval."""
    interval = cell.interval
    shown = "" if interval is None else f" [{100 * interval.low:.2f}, {100 * interval.high:.2f}]"
    return f"{100 * (cell.mean or 0.0):.2f}%{shown}, n = {cell.n}"


def listed(names: Sequence[str]) -> str:
    """``SNIP, GraSP and FORCE``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _decimals(comparison: Comparison) -> int:
    """Two where the interval is narrow, as a tenth of a point would hide it."""
    if comparison.low is None or comparison.high is None:
        return 1 if abs(comparison.mean or 0.0) >= 0.01 else 2
    return 1 if comparison.high - comparison.low >= 0.02 else 2


def _too_few(comparison: Comparison, a: str, b: str) -> str:
    if not comparison.n:
        why = "they share no seed where both trained"
    else:
        seeds = "1 seed" if comparison.n == 1 else f"{comparison.n} seeds"
        mean = points(comparison.mean or 0.0, _decimals(comparison), signed=True)
        why = f"n = {comparison.n}, below three; {a} minus {b} is {mean} points over {seeds}"
    return f"{a} and {b}: no test, {why}."


def _needed(comparison: Comparison) -> str:
    needed = comparison.seeds_one_point
    if needed is None or needed <= comparison.n:
        return ""
    return f"; to tell a difference of 1 point takes about {needed:,} seeds"
