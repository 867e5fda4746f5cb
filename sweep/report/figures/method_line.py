"""One method in the figure of accuracy against sparsity: its line, its band and its runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sweep.records import TrialRecord
from sweep.report.cells import Cell, accuracies, is_in_pieces
from sweep.report.figures import style
from sweep.report.figures.palette import Look
from sweep.report.names import figure_name
from sweep.statistics import mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPREAD = 6.0  # points between the runs of the first method and those of the last


@dataclass(frozen=True)
class MethodLine:
    """One method on the axes, in percent.

    The line joins the means of the runs that trained, each marked, in a band of one sample standard deviation. Where no
    run trained it is dotted and joins the means of the collapsed ones. Every run is a dot, one at chance a cross; one
    that split its batches has a ring.

    Attributes:
        cells: of the method, by rising sparsity, each with a completed run.
        look: how it is drawn.
        shift: points by which dots and crosses stand to the right of their density; lines and means stand at it.
    """

    cells: Sequence[Cell]
    look: Look
    shift: float = 0.0

    def draw(self, axes: "Axes") -> None:
        """Add it to the axes."""
        points = [(1 - cell.sparsity, 100 * height(cell)) for cell in self.cells]
        self._draw_band(axes)
        connect(axes, points, self.cells, self.look)
        self._draw_runs(axes, "runs", [cell.trained for cell in self.cells])
        self._draw_runs(axes, "collapsed", [cell.collapsed for cell in self.cells])

    @property
    def _label(self) -> str:
        return self.cells[0].method_label

    def _draw_band(self, axes: "Axes") -> None:
        """One sample standard deviation to either side, as far as accuracies go."""
        low, high = [], []
        for cell in self.cells:
            centre, spread = (cell.mean, cell.std) if cell.mean is not None else (math.nan, math.nan)
            spread = math.nan if spread is None else spread  # of one run: no band here
            low.append(100 * max(0.0, centre - spread) if not math.isnan(spread) else math.nan)
            high.append(100 * min(1.0, centre + spread) if not math.isnan(spread) else math.nan)
        x = [1 - cell.sparsity for cell in self.cells]
        look: dict[str, Any] = {"color": self.look.colour, "alpha": 0.14, "linewidth": 0, "zorder": 1.5}
        axes.fill_between(x, low, high, gid=f"std/{self._label}", **look)

    def _draw_runs(self, axes: "Axes", kind: str, runs: Sequence[Sequence[TrialRecord]]) -> None:
        """Beside the line: a dot under a mean's marker would not be seen."""
        points = [
            (1 - cell.sparsity, 100 * accuracy)
            for cell, trials in zip(self.cells, runs, strict=True)
            for accuracy in accuracies(trials)
        ]
        beside = shifted(axes, self.shift)
        if points:
            look = style.cross() | {"color": self.look.colour} if kind == "collapsed" else style.dots(self.look)
            axes.scatter(*style.xy(points), zorder=4, gid=f"{kind}/{self._label}", transform=beside, **look)
        ringed = [is_in_pieces(trial) for trials in runs for trial in trials if trial.test_accuracy is not None]
        draw_rings(axes, [point for point, ring in zip(points, ringed, strict=True) if ring], beside)


def shifts(methods: int) -> list[float]:
    """Points by which the runs of each method stand to the right of their place."""
    spread = style.thick(_SPREAD)
    return [spread * (index / (methods - 1) - 0.5) if methods > 1 else 0.0 for index in range(methods)]


def shifted(axes: "Axes", points: float) -> Any:
    """The transform of data that is drawn so many points to the right of its place."""
    from matplotlib.transforms import ScaledTranslation

    return axes.transData + ScaledTranslation(points / 72, 0, axes.figure.dpi_scale_trans)


def draw_rings(axes: "Axes", points: Sequence[tuple[float, float]], transform: Any = None) -> None:
    """A ring around runs that split their batches."""
    if points:
        axes.scatter(*style.xy(points), zorder=4.5, transform=transform or axes.transData, **style.ring())


def connect(axes: "Axes", points: Sequence[tuple[float, float]], cells: Sequence[Cell], look: Look) -> None:
    """One method's line through its cells, labelled for the legend; dotted to and from cells where no run trained."""
    label = cells[0].method_label
    solid = [(x, y if cell.n else math.nan) for (x, y), cell in zip(points, cells, strict=True)]
    line = axes.plot(*zip(*solid, strict=True), zorder=3, **look.line, **style.mean_mark(look))[0]
    line.set(gid=f"mean/{label}", label=figure_name(label))
    for (start, begin), (end, stop) in pairwise(zip(points, cells, strict=True)):
        if not (begin.n and stop.n):
            dotted: dict[str, Any] = {"color": look.colour, "linestyle": style.DOTTED, "linewidth": style.thick(1.5)}
            axes.plot(*zip(start, end, strict=True), zorder=3, **dotted)


def height(cell: Cell) -> float:
    """Where the line passes: the mean of the runs that trained, or of the collapsed where none did, as a fraction."""
    return mean(accuracies(cell.trained or cell.collapsed)) or 0.0
