"""Final test accuracy against its cost in floating-point operations, pruning and every training included."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sweep.report.cells import Cell, by_label
from sweep.report.figures import style
from sweep.report.figures.accuracy_parts import (
    distinguishable,
    draw_chance,
    draw_dense,
    draw_legend,
    draw_rings,
    draw_title,
    size,
    variants,
)
from sweep.report.figures.label_placement import LabelPlacement
from sweep.report.figures.method_line import connect, height
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARE = "training_flops_share"
_STEPS = ((3.0, (1, 2, 5)), (5.0, (1, 5)), (math.inf, (1,)))  # up to so many decades: ticks of each


def cost_figure(panel: Panel, options: ReportOptions = DEFAULT) -> "Figure | None":
    """Accuracy in percent against training FLOPs as a multiple of training the dense network once.

    A mark is one method at one sparsity, the mean of its runs that trained; lines join a method's marks in order of
    sparsity. None where no pruned run has the number: records of early versions lack it.

    Artists carry a ``gid``: ``mean/force`` (the line), ``marks/force``, ``std/force``, ``runs/force``,
    ``collapsed/force``, ``sparsity/force``, ``chance``.
    """
    dense = [cell for cell in panel.cells if cell.method == "dense" and cell.completed]
    known = [_with_cost(cell) for cell in panel.cells if cell.method != "dense"]
    cells = distinguishable([cell for cell in known if cell.completed])
    if not cells:
        return None
    lines = by_label(cells)
    with style.styled():
        figure = style.new_figure(size(len(lines)))
        axes = figure.add_subplot()
        _scale(axes, cells)
        draw_dense(axes, dense)
        _draw_dense_runs(axes, dense)
        for label, variant in variants(lines).items():
            _draw_method(axes, lines[label], variant)
        remark = draw_chance(axes, panel, [*dense, *cells], right=True)
        axes.grid(axis="y")
        axes.set_ylabel("Test accuracy, final epoch (%)")
        draw_title(axes, panel, [*dense, *cells], remark, options)
        draw_legend(axes, [*dense, *cells])
        _name_sparsities(axes, cells)
    return figure


def _with_cost(cell: Cell) -> Cell:
    """The cell with only its runs of positive cost: the axis is logarithmic."""
    return replace(cell, trials=tuple(trial for trial in cell.trials if (getattr(trial, SHARE) or 0) > 0))


def cost(cell: Cell) -> float:
    """Where a cell is on the x axis: the mean cost of the runs whose mean accuracy is :func:`height`."""
    shares = [getattr(trial, SHARE) for trial in cell.trained or cell.collapsed]
    return float(sum(shares) / len(shares))


def ticks(low: float, high: float) -> list[float]:
    """Costs between two that get a tick: powers of ten, also two and five times them where they are few."""
    steps = next(steps for decades, steps in _STEPS if math.log10(high / low) <= decades)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def _scale(axes: "Axes", cells: Sequence[Cell]) -> None:
    """A log axis that includes every run and the dense network's cost, 1×."""
    from matplotlib.ticker import NullLocator

    shares = [getattr(trial, SHARE) for cell in cells for trial in cell.completed] + [1.0]
    low, high = min(shares), max(shares)
    margin = max(0.06 * math.log10(high / low), 0.08)  # decades
    low, high = low / 10**margin, high * 10**margin
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(ticks(low, high), [f"{tick:.10g}×" for tick in ticks(low, high)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(1, color=style.GRID, linewidth=0.8, zorder=0.5)
    axes.set_xlabel("Training FLOPs, pruning included: multiple of training the dense network once (log)")


def _draw_dense_runs(axes: "Axes", dense: Sequence[Cell]) -> None:
    """The dense network's runs, at 1×: training it once is the unit."""
    for cell in dense:
        points = [(1.0, 100 * (trial.test_accuracy or 0)) for trial in cell.trained]
        if points:
            axes.scatter(*style.xy(points), zorder=4, gid="runs/dense", **style.point("dense"))
        draw_rings(axes, [(1.0, 100 * (trial.test_accuracy or 0)) for trial in cell.in_pieces])


def _draw_method(axes: "Axes", line: Sequence[Cell], variant: int) -> None:
    """One method: its line; for each cell a mark and a bar of one sample standard deviation; its runs."""
    label, colour = line[0].method_label, style.colour(line[0].method)
    connect(axes, [_place(cell) for cell in line], line, variant)
    _draw_bars(axes, [cell for cell in line if cell.std is not None])
    if marks := [_place(cell) for cell in line if cell.n]:
        axes.scatter(*style.xy(marks), zorder=5, gid=f"marks/{label}", **style.point(label, size=46))
    crosses = style.cross() | {"color": colour}
    for kind, runs_of, look in (("runs", "trained", style.point(label, size=9)), ("collapsed", "collapsed", crosses)):
        if runs := [(getattr(t, SHARE), 100 * t.test_accuracy) for cell in line for t in getattr(cell, runs_of)]:
            axes.scatter(*style.xy(runs), zorder=4, gid=f"{kind}/{label}", **look)
    draw_rings(axes, [(getattr(t, SHARE), 100 * (t.test_accuracy or 0)) for cell in line for t in cell.in_pieces])


def _draw_bars(axes: "Axes", line: Sequence[Cell]) -> None:
    """One sample standard deviation to either side of the mean."""
    if line:
        x, y = zip(*map(_place, line), strict=True)
        low, high = ([at + sign * 100 * (cell.std or 0) for at, cell in zip(y, line, strict=True)] for sign in (-1, 1))
        bars = axes.vlines(x, low, high, colors=style.colour(line[0].method), linewidth=1.1, zorder=3)
        bars.set_gid(f"std/{line[0].method_label}")


def _name_sparsities(axes: "Axes", cells: Sequence[Cell]) -> None:
    """The sparsity beside every mark where it fits: the highest and lowest of each method first."""
    runs = [(getattr(t, SHARE), 100 * t.test_accuracy) for cell in cells for t in cell.completed if t.test_accuracy]
    placement = LabelPlacement(axes, [*map(_place, cells), *runs])
    for cell in sorted(cells, key=_inner(cells)):
        gid = f"sparsity/{cell.method_label}"
        placement.write(percent(cell.sparsity), _place(cell), fontsize=7, color=style.colour(cell.method), gid=gid)


def _place(cell: Cell) -> tuple[float, float]:
    """Where the cell's mark is."""
    return cost(cell), 100 * height(cell)


def _inner(cells: Sequence[Cell]) -> Callable[[Cell], bool]:
    """A test of whether a cell's method has both lower and higher sparsities."""
    lines = {label: [cell.sparsity for cell in line] for label, line in by_label(cells).items()}
    ends = {label: (min(sparsities), max(sparsities)) for label, sparsities in lines.items()}
    return lambda cell: ends[cell.method_label][0] < cell.sparsity < ends[cell.method_label][1]


def _draw(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    figure = cost_figure(panel, options)
    return [] if figure is None else [Drawing(figure)]


FIGURE = ReportFigure("price", _draw, shows="Accuracy against training FLOPs", section="Price")
