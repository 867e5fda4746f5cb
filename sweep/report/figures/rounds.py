"""Density, FORCE objective, and weights lost and revived, round by round."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from sweep.records import RoundRecord
from sweep.report.cells import Cell, at, labels, sparsities
from sweep.report.figures import style
from sweep.report.figures.palette import MUTED, looks
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.names import figure_name
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel, StoredRows
from sweep.statistics import mean
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ByRound = list[tuple[int, float]]
_PLOTS = {  # field of the round's record -> title of its plot
    "density": "Density after the round",
    "force_objective": "FORCE objective at its start",
    "lost": "Weights pruned",
    "revived": "Weights regrown",
}
_LOG_FROM = 4  # the axis of rounds is logarithmic where one method has more than this times the rounds of another
_MARKED = 12  # at most so many rounds of a line have a marker


def sparsities_with_rounds(panel: Panel, stored: StoredRows) -> list[float]:
    """The sparsities at which a method has several rounds, rising."""
    counts = pc.list_value_length(stored.of(panel.trials, ["rounds"])["rounds"]).to_pylist()
    several = {trial.trial_id for trial, count in zip(panel.trials, counts, strict=True) if (count or 0) > 1}
    return sparsities(cell for cell in panel.cells if any(trial.trial_id in several for trial in cell.completed))


def with_rounds(panel: Panel, stored: StoredRows, sparsity: float) -> Panel:
    """The trials of a panel at one sparsity, with their rounds.

    Reports read trials without rounds: of 20,000 trials they would be a million records, of which a figure draws a few
    thousand.
    """
    drawn = [trial for trial in panel.trials if trial.sparsity == sparsity]
    values = stored.of(drawn, ["rounds"])["rounds"].to_pylist()
    rounds = [tuple(RoundRecord(**row) for row in rows or ()) for rows in values]
    return replace(panel, trials=tuple(replace(trial, rounds=r) for trial, r in zip(drawn, rounds, strict=True)))


def rounds_figure(panel: Panel, options: ReportOptions = DEFAULT) -> "Figure | None":
    """The rounds at the highest sparsity at which a method has several; None where none has.

    One line a method with more than one round: the mean over its completed runs. Controls are left out where their
    method is drawn: most of them differ from it only after the last round.

    Artists carry a ``gid``: ``density/force``, ``force_objective/force``, ``lost/force``, ``revived/force``.
    """
    cells = progressive(panel)
    if not cells:
        return None
    with style.styled(options):
        width = style.width(options)
        columns = _columns(cells, width)
        figure = style.new_figure((width, 0.6 * width + 0.6 + 0.2 * ((len(cells) - 1) // columns)))
        grid = figure.subplots(2, 2, sharex=True)
        for axes, (field, title) in zip(grid.flat, _PLOTS.items(), strict=True):
            _draw_field(axes, field, cells)
            axes.set_title(style.wrapped(title, width / 2), loc="left", y=style.ABOVE)
        for axes in grid[-1]:
            _scale_rounds(axes, [_longest(cell) for cell in cells])
        _draw_legend(figure, cells, columns)
        style.draw_title(figure, f"{panel.title}: rounds at {percent(cells[0].sparsity)} sparsity", options)
    return figure


def progressive(panel: Panel) -> list[Cell]:
    """The cells with more than one round, at the highest sparsity that has such a cell."""
    cells = [cell for cell in panel.cells if _longest(cell) > 1]
    highest = at(cells, max(sparsities(cells), default=0.0))
    return [cell for cell in highest if not cell.control] or highest


def by_round(cell: Cell, field: str) -> ByRound:
    """(round, mean of the field over the completed runs that have it), rounds rising."""
    values: dict[int, list[float]] = {}
    for record in _rounds(cell):
        if (value := getattr(record, field)) is not None:
            values.setdefault(record.round, []).append(value)
    return [(number, mean(values[number]) or 0.0) for number in sorted(values)]


def _rounds(cell: Cell) -> list[RoundRecord]:
    return [record for trial in cell.completed for record in trial.rounds]


def _longest(cell: Cell) -> int:
    return max((len(trial.rounds) for trial in cell.completed), default=0)


def _draw_field(axes: "Axes", field: str, cells: Sequence[Cell]) -> None:
    """One field by round, one line a method."""
    lines = [(cell, points) for cell in cells if (points := by_round(cell, field))]
    drawn = looks(labels(cells))
    for cell, points in lines:
        look = drawn[cell.method_label]
        every = math.ceil(len(points) / _MARKED)
        line = {"linewidth": style.thick(1.6), **look.line, **style.mean_mark(look, 4.5)}
        axes.plot(*zip(*points, strict=True), gid=f"{field}/{cell.method_label}", markevery=every, **line)
    values = [value for _, points in lines for _, value in points]
    if max(values, default=0.0) > 0:
        _scale_values(axes, field, min(values), max(values))
    else:
        text = "none" if values else "not measured"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=MUTED)
        axes.set_yticks([])
    axes.grid(axis="y")


def _scale_values(axes: "Axes", field: str, low: float, high: float) -> None:
    """A log axis, densities in percent; that of counts includes 0."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    if field in ("lost", "revived"):
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(-0.25, 2.5 * high)
        powers = range(math.ceil(math.log10(max(1, high))) + 1)
        axes.yaxis.set_major_locator(FixedLocator([0, *(10**power for power in powers[:: 1 + len(powers) // 5])]))
    else:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{100 * value:g}%" if field == "density" else f"{value:,g}")
    )


def _scale_rounds(axes: "Axes", lengths: Sequence[int]) -> None:
    """Round numbers, on a log axis where some methods have many more rounds than others."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    many = max(lengths) > _LOG_FROM * min(lengths)
    if many:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel(f"Round{' (log)' if many else ''}")


def _draw_legend(figure: "Figure", cells: Sequence[Cell], columns: int) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **look.line, **style.mean_mark(look, 4.5)) for look in looks(labels(cells)).values()]
    names = [figure_name(cell.method_label) for cell in cells]
    figure.legend(handles, names, loc="outside lower left", ncols=columns, frameon=False, handlelength=3.6)


def _columns(cells: Sequence[Cell], width: float) -> int:
    """Columns of the legend: as many as fit with the longest name."""
    longest = max(len(figure_name(cell.method_label)) for cell in cells)
    return max(1, min(4, int(72 * width / ((0.58 * longest + 5) * style.small()))))


def _draw(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    """At the sparsities that are asked for, by default the highest at which a method has several rounds."""
    drawn = []
    for sparsity in options.sparsities(sparsities_with_rounds(panel, stored.rows)):
        if (figure := rounds_figure(with_rounds(panel, stored.rows, sparsity), options)) is not None:
            drawn.append(Drawing.at(sparsity, figure))
    return drawn


FIGURE = ReportFigure(
    "rounds",
    _draw,
    shows="Round by round",
    section="Rounds",
    note=(
        "Means over completed runs of the methods with more than one round. The FORCE objective is that of the mask a "
        "round starts from, on the round's batches."
    ),
)
