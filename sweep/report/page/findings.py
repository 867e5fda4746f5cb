"""What the runs of a panel show at each sparsity: a headline, and a sentence for every comparison behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweep.report.cells import Cell, best, by_sparsity
from sweep.report.comparison import Comparison
from sweep.report.comparisons import FEWEST, Comparisons
from sweep.report.names import method_name
from sweep.report.page.sentences import accuracy, at_chance, difference, listed, verdict
from sweep.text import percent


@dataclass(frozen=True)
class Finding:
    """What the runs at one sparsity show.

    Attributes:
        sparsity: as text.
        headline: a few sentences.
        summary: what the folded sentences are.
        details: one sentence for each comparison, and for each method that is not compared.
    """

    sparsity: str
    headline: str
    summary: str
    details: tuple[str, ...]


def findings(comparisons: Comparisons) -> list[Finding]:
    """One for every sparsity, the lowest first."""
    tested: dict[float, list[Comparison]] = {}
    for comparison in comparisons.with_best:
        tested.setdefault(comparison.sparsity, []).append(comparison)
    return [
        _finding(sparsity, [cell for cell in column if not cell.control], tested.get(sparsity, []), comparisons)
        for sparsity, column in by_sparsity(comparisons.panel.cells).items()
        if any(cell.completed for cell in column)
    ]


def _finding(
    sparsity: float, column: Sequence[Cell], tested: Sequence[Comparison], comparisons: Comparisons
) -> Finding:
    tops = comparisons.best(column)
    headline = _headline(tops[0], tested) if tops else _undecided(column)
    collapsed = [text for cell in column if (text := at_chance(cell))]
    few = [_few(cell) for cell in column if not cell.collapsed and 0 < cell.n < FEWEST] if tops else []
    sentences = [verdict(comparison, comparisons.margin) for comparison in tested]
    asides = [f"{text}." for text in [*collapsed, *few]]
    count = len(sentences)
    summary = f"{count} comparison{'' if count == 1 else 's'}" if count else ""
    return Finding(percent(sparsity), " ".join([headline, *asides]), summary, tuple(sentences))


def _headline(top: Cell, tested: Sequence[Comparison]) -> str:
    """The best method, those that it beats, and those that it cannot be told from."""
    name, mean = method_name(top.method_label), accuracy(top)
    if not tested:
        return f"{name} is the only method with three runs that all trained: {mean}."
    beaten = [comparison for comparison in tested if comparison.significant and (comparison.mean or 0.0) > 0]
    others = [comparison for comparison in tested if comparison not in beaten]
    nearest = min(beaten, key=lambda comparison: comparison.mean or 0.0, default=None)
    if nearest is None:
        return f"{name} has the highest mean, {mean}, but {_alike(others)}."
    beats = f"beats {method_name(nearest.method_b)} by {difference(nearest)}"
    if len(beaten) > 1:
        rest = listed([method_name(comparison.method_b) for comparison in beaten if comparison is not nearest])
        beats += f", and {rest} by more"
    if not others:
        return f"{name} is best, {mean}: it {beats}."
    return f"{name} has the highest mean, {mean}; {_alike(others)}. It {beats}."


def _alike(others: Sequence[Comparison]) -> str:
    """``cannot be told apart from SNIP and GraSP``; methods without three common seeds are named as such."""
    untested = [comparison for comparison in others if comparison.n < FEWEST]
    alike = [method_name(comparison.method_b) for comparison in others if comparison not in untested]
    parts = [f"it cannot be told apart from {listed(alike)}"] if alike else []
    if untested:
        names = listed([method_name(comparison.method_b) for comparison in untested])
        parts.append(f"it shares too few seeds with {names} for a test")
    return " and ".join(parts)


def _undecided(column: Sequence[Cell]) -> str:
    """Why no method is called best, and what the means are."""
    trained = [cell for cell in column if cell.n]
    if not trained:
        return "No method trained."
    most = max(cell.n for cell in trained)
    if most < FEWEST:
        seeds = "1 seed" if most == 1 else f"{most} seeds"
        why = f"n below three: no test. The means are of at most {seeds}"
    else:
        why = "No method has three runs that all trained: no test"
    tops = best(trained) or [max(trained, key=lambda cell: cell.mean or 0.0)]
    names = listed([method_name(cell.method_label) for cell in tops])
    return f"{why}; the highest is that of {names}, {accuracy(tops[0])}."


def _few(cell: Cell) -> str:
    return f"{method_name(cell.method_label)}: {accuracy(cell)}, below three: no test"


def remarks(comparisons: Comparisons) -> list[str]:
    """What the reader of the findings must know, and how many seeds would tell small differences."""
    tested = comparisons.with_best
    if not tested:
        return []
    family = "the comparison" if len(tested) == 1 else f"the {len(tested)} comparisons"
    return [
        "Differences are paired by seed: runs of one seed start from the same weights and see the same batches. "
        "Brackets hold 95% t-intervals; p is of the paired t-test, by Holm's correction over "
        f"{family} of the best method of each sparsity with the others. "
        "Runs at chance are counted, and never averaged with runs that trained.",
        *filter(None, [_seeds_needed(tested)]),
    ]


def _seeds_needed(tested: Sequence[Comparison]) -> str:
    """For half a point and one point, the range over the comparisons."""
    needed = {
        "1 point": [one.seeds_one_point for one in tested if one.seeds_one_point is not None],
        "0.5 points": [one.seeds_half_point for one in tested if one.seeds_half_point is not None],
    }
    ranges = [f"{_range(seeds)} for a true difference of {name}" for name, seeds in needed.items() if seeds]
    if not ranges:
        return ""
    return f"Seeds needed to find a difference with 80% power, one comparison by itself: {'; '.join(ranges)}."


def _range(seeds: Sequence[int]) -> str:
    low, high = min(seeds), max(seeds)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
