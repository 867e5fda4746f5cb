"""Final test accuracy against sparsity: one line a method, every run a dot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.report.cells import Cell, accuracies, by_label, by_sparsity, is_in_pieces
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
from sweep.report.figures.legend import place_legend
from sweep.report.figures.lens import crowded, draw_lens
from sweep.report.figures.method_line import MethodLine, draw_rings, height, shifts
from sweep.report.figures.palette import colour, looks
from sweep.report.figures.published_points import PublishedPoint, all_sparsities, draw_points, legend_entry
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.figures.sparsity_axis import SparsityAxis
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_figure(
    panel: Panel, published: Sequence[PublishedPoint] = (), options: ReportOptions = DEFAULT
) -> "Figure":
    """Accuracy in percent, over density on a log axis that is labelled as sparsity.

    Lines and means stand at their true density; dots and crosses of runs a few points beside it, side by side. Where
    curves lie on one another at the top, a lens shows them again if the axes have room.

    Artists carry a ``gid``, in the SVG too: ``mean/force``, ``std/force``, ``runs/force``, ``collapsed/force``,
    ``published/force``, ``chance``; those in the lens ``lens/mean/force``.
    """
    cells = distinguishable([cell for cell in panel.cells if cell.completed])
    curves = _Curves(cells)
    with style.styled(options):
        figure = style.new_figure(size(options))
        axes = figure.add_subplot()
        SparsityAxis.across(style.width(options), all_sparsities(cells, published)).apply(axes)
        curves.draw(axes)
        _draw_dense_runs(axes, curves.dense)
        draw_points(axes, published)
        _draw_tallies(axes, cells)
        remark = draw_chance(axes, panel, cells, [end for point in published for end in point.error_bar])
        axes.grid(axis="y")
        axes.grid(axis="x", linestyle=style.DOTTED)
        axes.set_ylabel("Test accuracy, final epoch (%)")
        free = FreeSpace(axes, curves.marks + [(1 - point.sparsity, point.value) for point in published])
        if (region := crowded(cells, *axes.get_ylim())) is not None:
            draw_lens(axes, region, free, curves.draw)
        above = place_legend(axes, legend_entries(axes, cells, others=legend_entry(published)), free)
        draw_title(axes, panel, cells, remark, options, above)
    return figure


@dataclass(frozen=True)
class _Curves:
    """All methods of a figure, to be drawn on its axes and in its lens."""

    cells: Sequence[Cell]

    @property
    def dense(self) -> list[Cell]:
        """The dense network's cell, if it has one."""
        return [cell for cell in self.cells if cell.method == "dense"]

    @property
    def marks(self) -> list[tuple[float, float]]:
        """Where means and runs are."""
        pruned = [cell for cell in self.cells if cell.method != "dense"]
        heights = [(cell, (height(cell), *accuracies(cell.completed))) for cell in pruned]
        return [(1 - cell.sparsity, 100 * accuracy) for cell, of_cell in heights for accuracy in of_cell]

    def draw(self, axes: "Axes") -> None:
        """Draw the dense network's line and those of all methods."""
        draw_dense(axes, self.dense)
        lines = by_label(self.cells)
        for (label, look), shift in zip(looks(lines).items(), shifts(len(lines)), strict=True):
            MethodLine(lines[label], look, shift).draw(axes)


def _draw_dense_runs(axes: "Axes", dense: Sequence[Cell]) -> None:
    """The dense network's runs, at the left edge: the axis ends before density 1."""
    for cell in dense:
        heights = [100 * accuracy for accuracy in accuracies(cell.trained)]
        places = [0.012 + 0.011 * i for i in range(len(heights))]  # shares of the axis
        edge: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "gid": "runs/dense", "zorder": 4}
        axes.scatter(places, heights, **style.dots(looks(["dense"])["dense"]), **edge)
        ringed = [
            at for at, trial in zip(zip(places, heights, strict=True), cell.trained, strict=True) if is_in_pieces(trial)
        ]
        if ringed:
            draw_rings(axes, ringed, axes.get_yaxis_transform())


def _draw_tallies(axes: "Axes", cells: Sequence[Cell]) -> None:
    """How many runs are at chance in cells where others trained, stacked above the crosses."""
    for sparsity, column in by_sparsity(cells).items():
        mixed = [cell for cell in column if cell.n and cell.collapsed]
        top = max((accuracy for cell in mixed for accuracy in accuracies(cell.collapsed)), default=0.0)
        for place, cell in enumerate(mixed):
            axes.annotate(
                f"{len(cell.collapsed)} of {len(cell.completed)}",
                (1 - sparsity, 100 * top),
                xytext=(0, 6 + 1.1 * style.small() * place),
                textcoords="offset points",
                ha="center",
                fontsize=style.small(),
                color=colour(cell.method),
            )


def _draw(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    return [Drawing(accuracy_figure(panel, options=options))]


FIGURE = ReportFigure("accuracy", _draw)
