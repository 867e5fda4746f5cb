"""Sanity checks: each method beside the controls made of its mask, one small plot a method."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.report.cells import Cell, accuracies, by_label, grouped, labels, sparsities
from sweep.report.figures import style
from sweep.report.figures.method_line import draw_rings, height, shifted, shifts
from sweep.report.figures.palette import DASHES, INK, MUTED, Look, colour, looks
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.figures.sparsity_axis import SparsityAxis
from sweep.report.names import CONTROLS, figure_name
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
_LEAST_WIDTH = 1.5  # inches of a plot in print
_LOOKS = {  # the same in every plot
    "shuffle_layerwise": Look(INK, "o", DASHES["dashed"], "white"),
    "reinitialize": Look(MUTED, "s", DASHES["short"], "white"),
    "invert": Look("#a3a3a3", "^", DASHES["dashdot"], "white"),
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
    columns = min(len(methods), _columns(options))
    rows = math.ceil(len(methods) / columns)
    with style.styled(options):
        width = options.width_inches or max(4.6, 1.0 + 2.4 * columns)
        axis = SparsityAxis.across(0.9 * width / columns, tuple(sparsities(cells)))
        figure = style.new_figure((width, 0.8 + (0.3 + 0.7 * width / columns) * rows))
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes, method in zip(grid.flat, methods, strict=False):
            _draw_method(axes, families[method], axis, width / columns)
        for axes in list(grid.flat)[len(methods) :]:
            axes.set_visible(False)
        figure.supylabel("Test accuracy, final epoch (%)")
        if options.title:
            style.draw_title(figure, panel.title, options)
        drawn = [control for control in CONTROLS if any(cell.control == control for cell in cells)]
        beside = 4 if columns > 2 else 2 if width > 4 else 1
        _draw_legend(figure, drawn, any(cell.in_pieces for cell in cells), columns=beside)
    return figure


def _draw_method(axes: "Axes", cells: Sequence[Cell], axis: SparsityAxis, width: float) -> None:
    """One method and its controls, in a plot of about this width in inches."""
    axis.apply(axes)
    axes.set_xlabel("Sparsity", fontsize=style.small())
    axes.tick_params(labelsize=style.small(), labelleft=True)
    axes.grid(axis="y")
    lines = by_label(cells)
    for line, shift in zip(lines.values(), shifts(len(lines)), strict=True):
        look = _LOOKS.get(line[0].control) or looks([cells[0].own_label])[cells[0].own_label]
        _draw_line(axes, line, look, shift)
    name = figure_name(cells[0].own_label)
    size = min(float(axes.title.get_fontsize()), 72 * width / (0.68 * len(name)))
    title: dict[str, Any] = {"fontsize": size, "fontweight": "bold"}
    axes.set_title(name, loc="left", y=style.ABOVE, color=colour(cells[0].method), **title)


def _draw_line(axes: "Axes", line: Sequence[Cell], look: Look, shift: float) -> None:
    """A method or a control: its means, and its runs beside them."""
    label, mark = line[0].method_label, style.mean_mark(look, 4.5)
    means = [(1 - cell.sparsity, 100 * height(cell)) for cell in line]
    drawn: dict[str, Any] = {"linewidth": style.thick(1.5), **look.line, **mark}
    axes.plot(*style.xy(means), zorder=3, gid=f"mean/{label}", **drawn)
    beside, cross = shifted(axes, shift), style.cross(many=_COLUMNS**3) | {"color": look.colour}
    for kind, runs_of, dots in (("runs", "trained", style.dots(look)), ("collapsed", "collapsed", cross)):
        if runs := [(1 - cell.sparsity, 100 * a) for cell in line for a in accuracies(getattr(cell, runs_of))]:
            axes.scatter(*style.xy(runs), zorder=4, gid=f"{kind}/{label}", transform=beside, **dots)
    draw_rings(axes, [(1 - cell.sparsity, 100 * a) for cell in line for a in accuracies(cell.in_pieces)], beside)


def _columns(options: ReportOptions) -> int:
    """At most so many plots side by side."""
    return _COLUMNS if options.width_inches is None else max(1, min(_COLUMNS, int(options.width_inches / _LEAST_WIDTH)))


def _draw_legend(figure: "Figure", controls: Sequence[str], in_pieces: bool, columns: int) -> None:
    from matplotlib.lines import Line2D

    method = Line2D([], [], **looks(["force"])["force"].line)
    handles, names = [method], ["the method, in its colour"]
    for control in controls:
        look = _LOOKS[control]
        handles.append(Line2D([], [], **look.line, **style.mean_mark(look, 4.5)))
        names.append(CONTROLS[control])
    if in_pieces:
        handles.append(Line2D([], [], linestyle="", **style.ring_entry()))
        names.append("batches in pieces")
    figure.legend(handles, names, loc="outside lower left", ncols=columns, frameon=False, handlelength=4)


def _draw(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    figure = sanity_figure(panel, options)
    return [] if figure is None else [Drawing(figure)]


FIGURE = ReportFigure("sanity", _draw, shows="Methods and their controls", section="Sanity checks")
