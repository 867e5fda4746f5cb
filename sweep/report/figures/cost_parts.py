"""Final test accuracy against a cost of each trial: FLOPs or seconds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from sweep.records import TrialRecord
from sweep.report.cells import Cell, by_label
from sweep.report.figures import style
from sweep.report.figures.accuracy_parts import (
    distinguishable,
    draw_chance,
    draw_dense,
    draw_title,
    legend_entries,
    size,
)
from sweep.report.figures.free_space import FreeSpace
from sweep.report.figures.label_placement import LabelPlacement
from sweep.report.figures.legend import place_legend
from sweep.report.figures.method_line import connect, draw_rings, height
from sweep.report.figures.palette import GRID, Look, colour, looks
from sweep.report.options import ReportOptions
from sweep.report.trials import Panel
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STEPS = ((3.0, (1, 2, 5)), (5.0, (1, 5)), (math.inf, (1,)))  # up to so many decades: ticks of each


@dataclass(frozen=True)
class Cost:
    """What a figure has on its x axis, on a log scale.

    Attributes:
        of: a trial's cost; None or zero where it is not known, which leaves the trial out.
        axis: the label of the axis.
        tick: a cost as text.
        dense: where the dense network stands; None: at its own cost.
    """

    of: Callable[[TrialRecord], float | None]
    axis: str
    tick: Callable[[float], str]
    dense: float | None = None

    def known(self, cell: Cell) -> Cell:
        """The cell with only its runs of positive cost: the axis is logarithmic."""
        return replace(cell, trials=tuple(trial for trial in cell.trials if (self.of(trial) or 0) > 0))

    def mean(self, cell: Cell) -> float:
        """The mean cost of the runs whose mean accuracy is :func:`height`."""
        costs = [self.at(trial) for trial in cell.trained or cell.collapsed]
        return sum(costs) / len(costs)

    def at(self, trial: TrialRecord) -> float:
        """Where a trial stands."""
        if self.dense is not None and trial.method == "dense":
            return self.dense
        return self.of(trial) or math.nan

    def place(self, cell: Cell) -> tuple[float, float]:
        """Where the cell's mark is."""
        return self.mean(cell), 100 * height(cell)

    def runs(self, trials: Sequence[TrialRecord]) -> list[tuple[float, float]]:
        """Where these runs are."""
        return [(self.at(trial), 100 * trial.test_accuracy) for trial in trials if trial.test_accuracy is not None]


def accuracy_against(cost: Cost, panel: Panel, options: ReportOptions) -> "Figure | None":
    """Accuracy in percent against a cost.

    A mark is one method at one sparsity, the mean of its runs that trained; lines join a method's marks in order of
    sparsity. None where no pruned run has the number: records of early versions lack it.

    Artists carry a ``gid``: ``mean/force`` (the line and its marks), ``std/force``, ``runs/force``,
    ``collapsed/force``, ``sparsity/force``, ``chance``.
    """
    known = [cost.known(cell) for cell in panel.cells if cell.method != "dense"]
    cells = distinguishable([cell for cell in known if cell.completed])
    if not cells:
        return None
    dense = [cell for cell in panel.cells if cell.method == "dense" and cell.completed]
    lines = by_label(cells)
    with style.styled(options):
        figure = style.new_figure(size(options))
        axes = figure.add_subplot()
        _scale(axes, cost, [*(cost.known(cell) for cell in dense), *cells])
        draw_dense(axes, dense)
        _draw_dense_runs(axes, cost, dense)
        for label, look in looks(lines).items():
            _draw_method(axes, cost, lines[label], look)
        remark = draw_chance(axes, panel, [*dense, *cells], right=True)
        axes.grid(axis="y")
        axes.set_ylabel("Test accuracy, final epoch (%)")
        marks = [mark for cell in cells for mark in (cost.place(cell), *cost.runs(cell.completed))]
        above = place_legend(axes, legend_entries(axes, [*dense, *cells]), FreeSpace(axes, marks))
        draw_title(axes, panel, [*dense, *cells], remark, options, above)
        _name_sparsities(axes, cost, cells, marks)
    return figure


def ticks(low: float, high: float, crowding: float = 1.0) -> list[float]:
    """Costs between two that get a tick: powers of ten, also two and five times them where they are few."""
    steps = next(steps for decades, steps in _STEPS if crowding * math.log10(high / low) <= decades)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def _scale(axes: "Axes", cost: Cost, cells: Sequence[Cell]) -> None:
    """A log axis that includes every run and the dense network's cost."""
    from matplotlib.ticker import NullLocator

    costs = [cost.at(trial) for cell in cells for trial in cell.completed] + ([cost.dense] if cost.dense else [])
    low, high = min(costs), max(costs)
    margin = max(0.06 * math.log10(high / low), 0.08)  # decades
    low, high = low / 10**margin, high * 10**margin
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    width = cast("Figure", axes.figure).get_figwidth()
    marked = ticks(low, high, style.crowding(width))
    axes.set_xticks(marked, list(map(cost.tick, marked)))
    axes.xaxis.set_minor_locator(NullLocator())
    if cost.dense is not None:
        axes.axvline(cost.dense, color=GRID, linewidth=0.8, zorder=0.5)
    axes.set_xlabel(style.wrapped(cost.axis, width))


def _draw_dense_runs(axes: "Axes", cost: Cost, dense: Sequence[Cell]) -> None:
    """The dense network's runs, at its cost."""
    for cell in dense:
        if points := cost.runs(cell.trained):
            axes.scatter(*style.xy(points), zorder=4, gid="runs/dense", **style.dots(looks(["dense"])["dense"]))
        draw_rings(axes, cost.runs(cell.in_pieces))


def _draw_method(axes: "Axes", cost: Cost, line: Sequence[Cell], look: Look) -> None:
    """One method: its line with a mark and a bar of one sample standard deviation for each cell; its runs."""
    label = line[0].method_label
    connect(axes, [cost.place(cell) for cell in line], line, look)
    _draw_bars(axes, cost, [cell for cell in line if cell.std is not None], look)
    crosses = style.cross() | {"color": look.colour}
    for kind, runs_of, drawn in (("runs", "trained", style.dots(look)), ("collapsed", "collapsed", crosses)):
        if runs := [point for cell in line for point in cost.runs(getattr(cell, runs_of))]:
            axes.scatter(*style.xy(runs), zorder=4, gid=f"{kind}/{label}", **drawn)
    draw_rings(axes, [point for cell in line for point in cost.runs(cell.in_pieces)])


def _draw_bars(axes: "Axes", cost: Cost, line: Sequence[Cell], look: Look) -> None:
    """One sample standard deviation to either side of the mean, as far as accuracies go."""
    if line:
        x, y = zip(*map(cost.place, line), strict=True)
        low, high = (
            [min(100.0, max(0.0, at + sign * 100 * (cell.std or 0))) for at, cell in zip(y, line, strict=True)]
            for sign in (-1, 1)
        )
        bars = axes.vlines(x, low, high, colors=look.colour, linewidth=style.thick(1.1), zorder=2.8)
        bars.set_gid(f"std/{line[0].method_label}")


def _name_sparsities(axes: "Axes", cost: Cost, cells: Sequence[Cell], marks: Sequence[tuple[float, float]]) -> None:
    """The sparsity beside every mark where it fits: the highest and lowest of each method first."""
    placement = LabelPlacement(axes, marks)
    for cell in sorted(cells, key=_inner(cells)):
        look = {"color": colour(cell.method), "gid": f"sparsity/{cell.method_label}"}
        placement.write(percent(cell.sparsity), cost.place(cell), fontsize=min(7.5, style.small()), **look)


def _inner(cells: Sequence[Cell]) -> Callable[[Cell], bool]:
    """A test of whether a cell's method has both lower and higher sparsities."""
    lines = {label: [cell.sparsity for cell in line] for label, line in by_label(cells).items()}
    ends = {label: (min(sparsities), max(sparsities)) for label, sparsities in lines.items()}
    return lambda cell: ends[cell.method_label][0] < cell.sparsity < ends[cell.method_label][1]
