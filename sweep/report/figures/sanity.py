"""Sanity checks: each method beside the controls made of its mask, one small plot a method."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.report.cells import Cell, accuracies, by_label, grouped, labels, sparsities
from sweep.report.figures import style
from sweep.report.figures.accuracy_parts import draw_rings
from sweep.report.figures.method_line import height
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.figures.sparsity_axis import SparsityAxis
from sweep.report.names import CONTROLS, figure_name, figure_title
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
_LABEL_DISTANCE = 0.2  # least distance of two tick labels, as a share of an axis this narrow
_LOOKS = {  # control -> colour, dash, marker: the same in every plot
    "shuffle_layerwise": (style.INK, style.dashes(1), "o"),
    "reinitialize": (style.MUTED, style.dashes(2), "s"),
    "invert": ("#a3a3a3", style.dashes(3), "^"),
}


def sanity_figure(panel: Panel, options: ReportOptions = DEFAULT) -> "Figure | None":
    """Accuracy against sparsity of each method (in its colour) and its controls; None where there are no controls.

    Lines join means of the runs that trained, or of those at chance where none did; every run is a point.

    Artists carry a ``gid``: ``mean/snip``, ``mean/snip ablation=invert``, ``runs/snip``,
    ``collapsed/snip``.
    """
    cells = [cell for cell in panel.cells if cell.completed and cell.method != "dense"]
    families = grouped(cells, lambda cell: cell.own_label)
    methods = [label for label in labels(cells) if any(cell.control for cell in families.get(label, ()))]
    if not methods:
        return None
    columns = min(len(methods), _COLUMNS)
    rows = math.ceil(len(methods) / columns)
    axis = SparsityAxis(tuple(sparsities(cells)), 1 + len(CONTROLS), _LABEL_DISTANCE)
    with style.styled():
        figure = style.new_figure((max(4.6, 1.0 + 2.4 * columns), 1.2 + 2.0 * rows))
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes, method in zip(grid.flat, methods, strict=False):
            _draw_method(axes, families[method], axis)
        for axes in list(grid.flat)[len(methods) :]:
            axes.set_visible(False)
        figure.supylabel("Test accuracy, final epoch (%)", fontsize=10)
        if options.title:
            figure.suptitle(figure_title(panel.title), x=0.01, ha="left", fontsize=11, fontweight="bold")
        drawn = [control for control in CONTROLS if any(cell.control == control for cell in cells)]
        _draw_legend(figure, drawn, any(cell.in_pieces for cell in cells), columns=4 if columns > 2 else 2)
    return figure


def _draw_method(axes: "Axes", cells: Sequence[Cell], axis: SparsityAxis) -> None:
    """One method and its controls."""
    axis.apply(axes)
    axes.set_xlabel("Sparsity", fontsize=8)
    axes.tick_params(labelsize=8, labelleft=True)
    axes.grid(axis="y")
    for index, (label, line) in enumerate(by_label(cells).items()):
        colour, dash, marker = _look(line[0])
        x = [(1 - cell.sparsity) * axis.offset(index) for cell in line]
        heights = [100 * height(cell) for cell in line]
        axes.plot(x, heights, color=colour, linestyle=dash, linewidth=1.5, zorder=3, gid=f"mean/{label}")
        face = "white" if line[0].control else colour
        point = {"s": 14, "marker": marker, "linewidths": 0.8, "facecolors": face, "edgecolors": colour}
        cross = style.cross(many=_COLUMNS**3) | {"color": colour}
        for kind, runs_of, look in (("runs", "trained", point), ("collapsed", "collapsed", cross)):
            if runs := [
                (at, 100 * a) for at, cell in zip(x, line, strict=True) for a in accuracies(getattr(cell, runs_of))
            ]:
                axes.scatter(*style.xy(runs), zorder=4, gid=f"{kind}/{label}", **look)
        draw_rings(axes, [(at, 100 * a) for at, cell in zip(x, line, strict=True) for a in accuracies(cell.in_pieces)])
    name = figure_name(cells[0].own_label)
    title: dict[str, Any] = {"fontsize": min(9.5, 210 / len(name)), "fontweight": "bold"}
    axes.set_title(name, loc="left", y=style.ABOVE, color=style.colour(cells[0].method), **title)


def _look(cell: Cell) -> tuple[str, Any, str]:
    """Colour, dash and marker."""
    return _LOOKS.get(cell.control, (style.colour(cell.method), "-", style.marker(cell.method)))


def _draw_legend(figure: "Figure", controls: Sequence[str], in_pieces: bool, columns: int) -> None:
    from matplotlib.lines import Line2D

    method = Line2D([], [], color=style.colour("force"), linewidth=1.9)
    handles, names = [method], ["the method, in its colour"]
    for control in controls:
        colour, dash, marker = _LOOKS[control]
        face: dict[str, Any] = {"markerfacecolor": "white", "markersize": 4.5}
        handles.append(Line2D([], [], color=colour, linestyle=dash, marker=marker, linewidth=1.5, **face))
        names.append(CONTROLS[control])
    if in_pieces:
        handles.append(Line2D([], [], linestyle="", marker="o", **style.RING_ENTRY))
        names.append("batches in pieces")
    figure.legend(handles, names, loc="outside lower left", ncols=columns, fontsize=8.5, frameon=False, handlelength=4)


def _draw(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    figure = sanity_figure(panel, options)
    return [] if figure is None else [Drawing(figure)]


FIGURE = ReportFigure("sanity", _draw, shows="Methods and their controls", section="Sanity checks")
