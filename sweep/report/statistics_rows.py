"""``comparisons.csv``, ``thresholds.csv`` and ``over_cells.csv``: the statistics as rows for machines."""

from collections.abc import Iterable, Iterator
from typing import Any

from sweep.report.aggregates import Aggregate
from sweep.report.analysis import Analysis, PanelAnalysis
from sweep.report.comparison import Comparison
from sweep.report.csv_rows import CsvRow
from sweep.report.names import architecture_name, data_name, method_name
from sweep.report.thresholds import Thresholds
from sweep.report.trials import Panel
from sweep.statistics import Bound

FAMILIES = {  # what Holm's correction covers: the rows of one family in one panel
    "all pairs": "all_pairs",
    "reference": "with_reference",
    "best": "with_best",
    "control": "of_controls",
}
_PANEL = {
    "data_name": "Data set, as figures name it.",
    "architecture_name": "Network, as figures name it.",
    "setting": "What tells this recipe from others of the same network and data.",
}
COMPARISONS = {  # column -> meaning
    "family": "Table that the row belongs to; `p_holm` corrects over the rows of one family of one panel.",
    **_PANEL,
    "method_a_name": "Method A, as figures name it.",
    "method_b_name": "Method B.",
    "sparsity": "Fraction of the prunable weights that is removed.",
    "mean": "Mean accuracy of A minus B over the `n` seeds where both trained, a fraction.",
    "low": "Lower end of its 95 % t-interval; empty if all differences are equal.",
    "high": "Upper end.",
    "std": "Sample standard deviation of the differences.",
    "n": "Seeds where both trained.",
    "p_t": "Two-sided paired t-test; `p_permutation` if all differences are equal.",
    "p_permutation": "Two-sided sign-flip permutation test.",
    "p_holm": "`p_t` corrected by Holm.",
    "probability": "P(A > B): share of the `n_all` seeds where A is higher, ties counting half.",
    "probability_low": "Lower end of its 95 % Wilson interval.",
    "probability_high": "Upper end.",
    "n_all": "Seeds that both completed, those at chance too.",
    "mean_all": "Mean difference over these.",
    "collapsed_a": "Of these, seeds where A ended at chance.",
    "collapsed_b": "Of these, seeds where B ended at chance.",
    "margin": "Two methods closer than this, a fraction, are called equivalent.",
    "p_equivalence": "The larger p of two one-sided t-tests.",
    "equivalent": "Whether it is below 0.05.",
    "seeds_half_point": "Seeds that would tell a true difference of 0.5 points with 80 % power.",
    "seeds_one_point": "The same for 1 point.",
    "unlike": "Seeds left out because the two started from different weights.",
    "in_pieces": "Seeds of `n` where the two split their batches differently.",
    "method_a": "Label of A.",
    "method_b": "Label of B.",
}
_SPARSITIES = {
    "one_point": "Sparsity where the mean of all runs falls more than 1 point under dense.",
    "five_points": "More than 5 points under dense.",
    "meets_random": "Beyond which it is nowhere above the mean of random masks.",
    "collapse": "Largest sparsity at which more than half of the runs train.",
}
_PARTS = {"": "", "_low": " Lower end of its 95 % interval.", "_high": " Upper end of its 95 % interval."}
THRESHOLDS = {
    **_PANEL,
    "method_name": "Method, as figures name it.",
    **{
        f"{name}{part}{side}": f"Of `{name}{part}`: whether it is `at`, `below` or `above` this." if side else
        (end.strip() or meaning)
        for name, meaning in _SPARSITIES.items() for part, end in _PARTS.items() for side in ("", "_side")
    },
    "method": "Label of the method.",
}  # fmt: skip
OVER_CELLS = {
    "method_name": "Method, as figures name it.",
    "other_name": "Another method.",
    "interquartile_mean": "Of the method's test accuracies, over all cells and runs.",
    "low": "Lower end of its 95 % stratified bootstrap interval.",
    "high": "Upper end.",
    "average_rank": "Of the method among all, over cells; 1 is best.",
    "critical_difference": "Two average ranks closer than this are not told apart (Nemenyi, 5 %).",
    "p_friedman": "Friedman's test that all methods are alike.",
    "cells": "Number of cells (data set × network × recipe × sparsity) in which every method completed a run.",
    "probability_above_other": "Probability that a run of the method is above one of the other on the same cell.",
    "probability_low": "Lower end of its 95 % stratified bootstrap interval.",
    "probability_high": "Upper end.",
    "method": "Label of the method.",
    "other": "Label of the other.",
}


def comparison_rows(analysis: Analysis) -> list[CsvRow]:
    """One row a comparison and family, with the keys :data:`COMPARISONS`."""
    return [
        _ordered(COMPARISONS, family=family, margin=one.comparisons.margin, **_panel(one.panel), **_comparison(row))
        for one in analysis.panels
        for family, attribute in FAMILIES.items()
        for row in getattr(one.comparisons, attribute)
    ]


def threshold_rows(analysis: Analysis) -> list[CsvRow]:
    """One row a method and panel, with the keys :data:`THRESHOLDS`.

    A side tells whether the sparsity is ``at`` the number, or only known to be ``below`` or ``above`` it.
    """
    return [row for one in analysis.panels for row in _threshold_rows(one)]


def over_cells_rows(over: Aggregate | None) -> list[CsvRow]:
    """One row a method and other method, with the keys :data:`OVER_CELLS`."""
    return [] if over is None else list(_over_cells(over))


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "data_name": data_name(panel.data, panel.encoding, panel.train),
        "architecture_name": architecture_name(panel.architecture),
        "setting": panel.setting,
    }


def _comparison(one: Comparison) -> dict[str, Any]:
    probability = one.probability
    computed = {
        "method_a_name": method_name(one.method_a),
        "method_b_name": method_name(one.method_b),
        "probability": probability and probability.estimate,
        "probability_low": probability and probability.low,
        "probability_high": probability and probability.high,
    }
    return vars(one) | computed


def _threshold_rows(one: PanelAnalysis) -> Iterator[CsvRow]:
    for row in one.thresholds:
        values = {"method_name": method_name(row.method_label), "method": row.method_label, **_panel(one.panel)}
        for name in _SPARSITIES:
            values |= _bounds(row, name)
        yield _ordered(THRESHOLDS, **values)


def _bounds(row: Thresholds, name: str) -> dict[str, Any]:
    found, values = getattr(row, name), dict[str, Any]()
    for part, attribute in (("", "estimate"), ("_low", "low"), ("_high", "high")):
        bound: Bound | None = getattr(found, attribute) if found is not None else None
        values |= {f"{name}{part}": bound and bound.value, f"{name}{part}_side": bound and bound.side}
    return values


def _over_cells(over: Aggregate) -> Iterator[CsvRow]:
    for label, mean, rank in zip(over.methods, over.interquartile_means, over.ranks.averages, strict=True):
        for other in over.methods:
            if (above := over.improvement(label, other)) is not None:
                yield _ordered(
                    OVER_CELLS,
                    method_name=method_name(label),
                    other_name=method_name(other),
                    interquartile_mean=mean.estimate,
                    low=mean.low,
                    high=mean.high,
                    average_rank=rank,
                    critical_difference=over.ranks.critical_difference,
                    p_friedman=over.ranks.p_friedman,
                    cells=over.tasks,
                    probability_above_other=above.estimate,
                    probability_low=above.low,
                    probability_high=above.high,
                    method=label,
                    other=other,
                )


def _ordered(names: Iterable[str], **values: Any) -> CsvRow:
    return {name: values[name] for name in names}
