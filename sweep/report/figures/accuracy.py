"""Figure 1: final test accuracy against sparsity, one line a method, every run a point."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.report.figures import style
from sweep.report.figures.axis import SparsityAxis
from sweep.report.figures.frame import draw_chance, draw_dense, draw_legend, draw_title, size, told_apart, variants
from sweep.report.figures.line import Line
from sweep.report.figures.overlay import Point, all_sparsities, draw_points, legend_entry
from sweep.report.statistics import Cell, accuracies, by_label, by_sparsity, is_in_pieces
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_figure(panel: Panel, published: Sequence[Point] = ()) -> "Figure":
    """One panel as a figure: accuracy in percent, and density on a log axis that is labelled as sparsity.

    Artists carry a ``gid`` by which they are found again, in the SVG too: ``mean/force``, ``std/force``,
    ``runs/force``, ``collapsed/force``, ``published/force``, ``chance``.
    """
    found = told_apart([cell for cell in panel.cells if cell.completed])
    lines = by_label(found)
    axis = SparsityAxis(all_sparsities(found, published), len(lines))
    offsets = {label: axis.offset(place) for place, label in enumerate(lines)}
    with style.styled():
        figure = style.new_figure(size(axis.methods))
        axes = figure.add_subplot()
        axis.apply(axes)
        dense = [cell for cell in found if cell.method == "dense"]
        draw_dense(axes, dense)
        _draw_dense_runs(axes, dense)
        for label, which in variants(lines).items():
            Line(lines[label], which, offsets[label]).draw(axes)
        draw_points(axes, published, offsets)
        _draw_tallies(axes, found)
        remark = draw_chance(axes, panel, found, [end for point in published for end in point.reach])
        axes.grid(axis="y")
        axes.grid(axis="x", linestyle=style.DOTTED)
        axes.set_ylabel("Test accuracy, final epoch (%)")
        draw_title(axes, panel, found, remark)
        draw_legend(axes, found, others=legend_entry(published))
    return figure


def _draw_dense_runs(axes: "Axes", dense: Sequence[Cell]) -> None:
    """The dense network's runs at the left edge: density 1 is off the axis."""
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


def _draw_tallies(axes: "Axes", found: Sequence[Cell]) -> None:
    """How many runs are at chance in cells where others trained, one above the other over the crosses."""
    for sparsity, here in by_sparsity(found).items():
        mixed = [cell for cell in here if cell.n and cell.collapsed]
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
