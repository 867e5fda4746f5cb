"""Paired differences of accuracy from random pruning and from ERK, with their intervals, at one sparsity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.report.cells import at, sparsities
from sweep.report.comparison import Comparison, compare
from sweep.report.figures import style
from sweep.report.figures.palette import GRID, INK, MUTED, looks
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.names import figure_name, method_name
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINES = ("random", "erk")
_ROW = 0.24  # inches on a page of the web
_FEWEST = 2  # pairs of runs, for an interval


def differences(panel: Panel, baseline: str, sparsity: float, options: ReportOptions = DEFAULT) -> list[Comparison]:
    """Every selected method minus the baseline, with an interval; the highest mean first."""
    column = [cell for cell in at(panel.cells, sparsity) if not cell.control]
    references = [cell for cell in column if cell.method_label == baseline]
    others = [cell for cell in column if cell.method_label != baseline and options.selects(cell.method_label)]
    found = [compare(cell, reference) for reference in references for cell in others]
    return sorted((one for one in found if one.n >= _FEWEST), key=lambda one: -(one.mean or 0.0))


def forest_figure(panel: Panel, sparsity: float, options: ReportOptions = DEFAULT) -> "Figure | None":
    """One plot a baseline: a row a method, its mean difference in points and the 95 % t-interval of it.

    None where no baseline shares two seeds with another method at which both trained.

    Artists carry a ``gid``: ``interval/random/force``, ``difference/random/force``.
    """
    rows = {baseline: differences(panel, baseline, sparsity, options) for baseline in BASELINES}
    rows = {baseline: found for baseline, found in rows.items() if found}
    if not rows:
        return None
    most = max(map(len, rows.values()))
    with style.styled(options):
        width = style.width(options)
        beside = len(rows) if width > 5 else 1
        tall = 0.6 + style.thick(_ROW) * most
        figure = style.new_figure((width, 0.5 + tall * (1 if beside > 1 else len(rows))))
        grid = figure.subplots(len(rows) // beside, beside, squeeze=False)
        for axes, (baseline, found) in zip(grid.flat, rows.items(), strict=True):
            _draw(axes, baseline, found)
        style.draw_title(figure, f"{panel.title}: differences at {percent(sparsity)} sparsity", options)
        note = "Paired by seed, runs at chance left out; bars: 95% t-intervals, not corrected for their number"
        figure.supxlabel(style.wrapped(note, width), x=0.01, ha="left", fontsize=style.small(), color=MUTED)
    return figure


def _draw(axes: "Axes", baseline: str, found: Sequence[Comparison]) -> None:
    drawn = looks(one.method_a for one in found)
    axes.axvline(0, color=INK, linewidth=style.thick(1.0), zorder=1)
    for row, one in enumerate(found):
        look = drawn[one.method_a]
        if one.low is not None and one.high is not None:
            bar: dict[str, Any] = {"color": look.colour, "linewidth": style.thick(1.8), "zorder": 2}
            axes.plot([100 * one.low, 100 * one.high], [row, row], gid=f"interval/{baseline}/{one.method_a}", **bar)
        mark = {"linestyle": "", "zorder": 3, **style.mean_mark(look)}
        axes.plot([100 * (one.mean or 0.0)], [row], gid=f"difference/{baseline}/{one.method_a}", **mark)
    _limit(axes, found)
    axes.set_yticks(range(len(found)), [f"{figure_name(one.method_a)} ({one.n})" for one in found])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.grid(axis="x", color=GRID)
    axes.set_title(f"Minus {method_name(baseline)}", loc="left", y=style.ABOVE)
    axes.set_xlabel("Percentage points (n seeds)")


def _limit(axes: "Axes", found: Sequence[Comparison]) -> None:
    """Wide enough for every mean; an interval of two runs may be hundreds of points long, and is cut at the edge."""
    means = [100 * (one.mean or 0.0) for one in found]
    ends = [100 * end for one in found for end in (one.low, one.high) if end is not None]
    low, high = min([0.0, *means]), max([0.0, *means])
    room = max(1.0, 1.0 * (high - low))
    left, right = max(min([low, *ends]), low - room), min(max([high, *ends]), high + room)
    margin = 0.05 * (right - left)
    axes.set_xlim(left - margin, right + margin)


def _drawings(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    """At the sparsities that are asked for, by default the highest that has a difference."""
    drawable = [
        sparsity
        for sparsity in sparsities(panel.cells)
        if any(differences(panel, baseline, sparsity, options) for baseline in BASELINES)
    ]
    figures = ((sparsity, forest_figure(panel, sparsity, options)) for sparsity in options.sparsities(drawable))
    return [Drawing.at(sparsity, figure) for sparsity, figure in figures if figure is not None]


FIGURE = ReportFigure(
    "differences",
    _drawings,
    shows="Paired differences from random pruning and ERK",
    section="Comparisons",
    every_method=True,
)
