"""Tables of methods: how far each can be pruned, and how they compare over all cells of a report."""

from collections.abc import Iterator

from sweep.report.aggregates import Aggregate
from sweep.report.names import method_name
from sweep.report.number_text import crossing_text, p_value, points, points_interval, probability, sparsity_bound
from sweep.report.table import UNKNOWN, Table, TableEntry
from sweep.report.thresholds import BASELINE, Thresholds
from sweep.report.trials import Panel
from sweep.statistics import MedianSurvival

THRESHOLDS_CAPTION = (
    "The sparsity where the mean of all runs, those at chance too, first falls more than 1 or 5 percentage points "
    "under the dense network, and beyond which it is nowhere above that of random masks; interpolated over the "
    "logarithm of density [95 % bootstrap interval over seeds]. <: already so at the lowest sparsity that was run; >: "
    "not up to the highest. Last before collapse: the largest sparsity at which more than half of the runs train, "
    "neither at chance nor diverged (Kaplan-Meier median [95 %]; runs never seen to collapse are censored)."
)
AGGREGATE_CAPTION = (
    "Over {cells} cells (data set × network × recipe × sparsity) in which all these methods completed a run; all runs "
    "count, those at chance too. Interquartile mean of test accuracy in %, and the probability that a run is above one "
    "of the other method on the same cell, as rliable defines them [95 % stratified bootstrap over runs, too narrow "
    "for few runs: about 0.8 of the width with three]. Average rank of the cells' means, 1 is best; two ranks closer "
    "than the critical difference are not told apart (Nemenyi, 5 %)."
)


def thresholds_table(panel: Panel, rows: tuple[Thresholds, ...]) -> Table:
    """One row a method: the sparsities at which it falls, meets random and collapses."""
    names = ("one_point", "five_points", "meets_random")
    shown = [name for name in names if any(getattr(row, name) is not None for row in rows)]
    headings = {"one_point": "1 point under dense", "five_points": "5 points under dense",
                "meets_random": f"meets {method_name(BASELINE)}"}  # fmt: skip
    header = ("method", *(headings[name] for name in shown), "last before collapse")
    texts = [
        (
            method_name(row.method_label),
            *(crossing_text(getattr(row, name)) for name in shown),
            _collapse_text(row.collapse),
        )
        for row in rows
        if row.collapse is not None
    ]
    entries = tuple(tuple(map(TableEntry, row)) for row in texts)
    return Table(panel.title, (), header, entries, THRESHOLDS_CAPTION, "thresholds")


def aggregate_table(over: Aggregate) -> Table:
    """One row a method: interquartile mean, average rank, probability of improvement on random and on the best."""
    top = over.methods[max(range(len(over.methods)), key=lambda i: over.interquartile_means[i].estimate)]
    others = list(dict.fromkeys([*([BASELINE] if BASELINE in over.methods else []), top]))
    rows = [
        (
            method_name(label),
            f"{points(mean.estimate)} {points_interval(mean.low, mean.high)}",
            f"{rank:.2f}",
            *(UNKNOWN if label == other else probability(over.improvement(label, other)) for other in others),
        )
        for label, mean, rank in zip(over.methods, over.interquartile_means, over.ranks.averages, strict=True)
    ]
    header = ("method", "interquartile mean", "average rank", *(f"P(above {method_name(name)})" for name in others))
    entries = tuple(tuple(map(TableEntry, row)) for row in rows)
    caption = AGGREGATE_CAPTION.format(cells=over.tasks)
    return Table("Over all cells", tuple(_notes(over)), header, entries, caption, "over-cells")


def _notes(over: Aggregate) -> Iterator[str]:
    """What was compared, and what was left out."""
    if over.ranks.critical_difference is not None:
        yield f"Critical difference of two average ranks: {over.ranks.critical_difference:.2f}."
    if over.ranks.p_friedman is not None:
        yield f"Friedman's test that all methods are alike: p = {p_value(over.ranks.p_friedman)}."
    if over.tasks < over.all_tasks:
        yield f"Left out: {over.all_tasks - over.tasks} cells in which one of these methods completed no run."
    for label, count in over.left_out.items():
        yield f"Left out: {method_name(label)}, which ran in {count} of {over.all_tasks} cells."


def _collapse_text(found: MedianSurvival | None) -> str:
    if found is None:
        return UNKNOWN
    return f"{sparsity_bound(found.estimate)} [{sparsity_bound(found.low)}, {sparsity_bound(found.high)}]"
