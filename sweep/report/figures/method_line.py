"""One method in the figure of accuracy against sparsity: its line, its band and its runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sweep.records import TrialRecord
from sweep.report.cells import Cell, accuracies, is_in_pieces
from sweep.report.figures import style
from sweep.report.figures.accuracy_parts import draw_rings
from sweep.report.names import figure_name
from sweep.statistics import mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RUN_DISTANCE = 0.006  # decades between two runs of one cell


@dataclass(frozen=True)
class MethodLine:
    """One method on the axes, in percent.

    The line joins the means of the runs that trained, in a band of one sample standard deviation. Where no run
    trained it is dotted and joins the means of the collapsed ones. Every run is a point, one at chance a cross; one
    that split its batches has a ring.

    Attributes:
        cells: of the method, by rising sparsity, each with a completed run.
        variant: its number among the variants of one method, which sets the dash.
        offset: factor for the densities.
    """

    cells: Sequence[Cell]
    variant: int
    offset: float

    def draw(self, axes: "Axes") -> None:
        """Add it to the axes."""
        points = [(self._x(cell), 100 * height(cell)) for cell in self.cells]
        self._draw_band(axes)
        connect(axes, points, self.cells, self.variant)
        self._draw_runs(axes, "runs", [cell.trained for cell in self.cells])
        self._draw_runs(axes, "collapsed", [cell.collapsed for cell in self.cells])

    @property
    def _label(self) -> str:
        return self.cells[0].method_label

    @property
    def _colour(self) -> str:
        return style.colour(self.cells[0].method)

    def _x(self, cell: Cell) -> float:
        return (1 - cell.sparsity) * self.offset

    def _draw_band(self, axes: "Axes") -> None:
        low, high = [], []
        for cell in self.cells:
            centre, spread = (cell.mean, cell.std) if cell.mean is not None else (math.nan, math.nan)
            spread = math.nan if spread is None else spread  # of one run: no band here
            low.append(100 * (centre - spread))
            high.append(100 * (centre + spread))
        x = [self._x(cell) for cell in self.cells]
        gid = f"std/{self._label}"
        axes.fill_between(x, low, high, color=self._colour, alpha=0.16, linewidth=0, zorder=1.5, gid=gid)

    def _draw_runs(self, axes: "Axes", kind: str, runs: Sequence[Sequence[TrialRecord]]) -> None:
        """Seeds stand side by side: equal accuracies would hide each other."""
        points = [
            (self._x(cell) * 10 ** (_RUN_DISTANCE * (i - (len(trials) - 1) / 2)), 100 * accuracy)
            for cell, trials in zip(self.cells, runs, strict=True)
            for i, accuracy in enumerate(accuracies(trials))
        ]
        if points:
            look = style.cross() | {"color": self._colour} if kind == "collapsed" else style.point(self._label)
            axes.scatter(*style.xy(points), zorder=4, gid=f"{kind}/{self._label}", **look)
        ringed = [is_in_pieces(trial) for trials in runs for trial in trials if trial.test_accuracy is not None]
        draw_rings(axes, [point for point, ring in zip(points, ringed, strict=True) if ring])


def connect(axes: "Axes", points: Sequence[tuple[float, float]], cells: Sequence[Cell], variant: int) -> None:
    """One method's line through its cells, labelled for the legend; dotted to and from cells where no run trained."""
    label = cells[0].method_label
    solid = [(x, y if cell.n else math.nan) for (x, y), cell in zip(points, cells, strict=True)]
    look: dict[str, Any] = {"color": style.colour(cells[0].method), "zorder": 3}
    line = axes.plot(*zip(*solid, strict=True), linewidth=1.9, **look)[0]
    line.set(linestyle=style.dashes(variant), gid=f"mean/{label}", label=figure_name(label))
    for (start, begin), (end, stop) in pairwise(zip(points, cells, strict=True)):
        if not (begin.n and stop.n):
            axes.plot(*zip(start, end, strict=True), linestyle=style.DOTTED, linewidth=1.5, **look)


def height(cell: Cell) -> float:
    """Where the line passes: the mean of the runs that trained, or of the collapsed where none did, as a fraction."""
    return mean(accuracies(cell.trained or cell.collapsed)) or 0.0
