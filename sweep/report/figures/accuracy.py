"""Final test accuracy against sparsity: one line a method, every run a point."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.report.cells import Cell, accuracies, by_label, by_sparsity, is_in_pieces
from sweep.report.figures import style
from sweep.report.figures.accuracy_parts import (
    distinguishable,
    draw_chance,
    draw_dense,
    draw_legend,
    draw_title,
    size,
    variants,
)
from sweep.report.figures.method_line import MethodLine
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

    Artists carry a ``gid``, in the SVG too: ``mean/force``, ``std/force``,
    ``runs/force``, ``collapsed/force``, ``published/force``, ``chance``.
    """
    cells = distinguishable([cell for cell in panel.cells if cell.completed])
    lines = by_label(cells)
    axis = SparsityAxis(all_sparsities(cells, published), len(lines))
    offsets = {label: axis.offset(index) for index, label in enumerate(lines)}
    with style.styled():
        figure = style.new_figure(size(axis.methods))
        axes = figure.add_subplot()
        axis.apply(axes)
        dense = [cell for cell in cells if cell.method == "dense"]
        draw_dense(axes, dense)
        _draw_dense_runs(axes, dense)
        for label, variant in variants(lines).items():
            MethodLine(lines[label], variant, offsets[label]).draw(axes)
        draw_points(axes, published, offsets)
        _draw_tallies(axes, cells)
        remark = draw_chance(axes, panel, cells, [end for point in published for end in point.error_bar])
        axes.grid(axis="y")
        axes.grid(axis="x", linestyle=style.DOTTED)
        axes.set_ylabel("Test accuracy, final epoch (%)")
        draw_title(axes, panel, cells, remark, options)
        draw_legend(axes, cells, others=legend_entry(published))
    return figure


def _draw_dense_runs(axes: "Axes", dense: Sequence[Cell]) -> None:
    """The dense network's runs, at the left edge: the axis ends before density 1."""
    for cell in dense:
        heights = [100 * accuracy for accuracy in accuracies(cell.trained)]
        places = [0.012 + 0.011 * i for i in range(len(heights))]  # shares of the axis
        edge: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "gid": "runs/dense", "zorder": 4}
        axes.scatter(places, heights, **style.point("dense"), **edge)
        ringed = [
            at for at, trial in zip(zip(places, heights, strict=True), cell.trained, strict=True) if is_in_pieces(trial)
        ]
        if ringed:
            axes.scatter(*style.xy(ringed), **edge | style.RING)


def _draw_tallies(axes: "Axes", cells: Sequence[Cell]) -> None:
    """How many runs are at chance in cells where others trained, stacked above the crosses."""
    for sparsity, column in by_sparsity(cells).items():
        mixed = [cell for cell in column if cell.n and cell.collapsed]
        top = max((accuracy for cell in mixed for accuracy in accuracies(cell.collapsed)), default=0.0)
        for height, cell in enumerate(mixed):
            axes.annotate(
                f"{len(cell.collapsed)} of {len(cell.completed)}",
                (1 - sparsity, 100 * top),
                xytext=(0, 6 + 9 * height),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=style.colour(cell.method),
            )


def _draw(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    return [Drawing(accuracy_figure(panel, options=options))]


FIGURE = ReportFigure("accuracy", _draw)
