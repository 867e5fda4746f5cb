"""The density of every layer, method by method, at one sparsity."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sweep.report.cells import Cell, at
from sweep.report.figures import style
from sweep.report.figures.accuracy_parts import distinguishable
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.figures.stored_masks import LayerDensity, highest_first, layer_densities
from sweep.report.names import figure_name, figure_title, measured_sparsity
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel
from sweep.statistics import mean
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SAME_COUNTS = ("shuffle_layerwise", "reinitialize")
_NARROW = 8  # with more methods the figure is wider
_NAMED = 30  # at most so many layers have their name under them


def layers_figure(panel: Panel, masks: pa.Table, sparsity: float, options: ReportOptions = DEFAULT) -> "Figure | None":
    """Density by layer at one sparsity, one small plot a method; None where no run of it has a mask.

    A bar is the mean over runs, its pale part what is cut off from input or output; every run is a point. A
    layer that some run left empty is a cross in the row ``0``, below the logarithmic axis. Where training moved the
    mask, bars are what was tested and thin strokes the mean density that training started from.

    Artists carry a ``gid``: ``runs/force``, ``empty/force``, ``start/rigl``.
    """
    cells = distinguishable(_with_own_counts(at(panel.cells, sparsity)))
    drawn = [(cell, layers) for cell in cells if (layers := layer_densities(cell, masks))]
    if not drawn:
        return None
    names = [_short(layer.tensor) for layer in drawn[0][1]]
    wide = len(drawn) > _NARROW
    width = 11.0 if wide else 7.4
    columns = min(len(drawn), wide + (3 if len(names) <= 12 else 2 if len(names) <= 24 else 1))
    rows = math.ceil(len(drawn) / columns)
    low = _floor([layers for _, layers in drawn])
    with style.styled():
        height = 0.7 + 1.45 * rows + 0.055 * max(map(len, names))
        figure = style.new_figure((width, height))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        plots = list(grid.flat)
        _scale(plots[0], low)  # they share their axes: scaling each would scale all of them once for every method
        for axes, (cell, layers) in zip(plots, drawn, strict=False):
            _draw_method(axes, cell, layers, low, width / columns)
        for axes in plots[len(drawn) :]:
            axes.set_visible(False)
        _name_layers(grid[-1], names)
        figure.supylabel("Density of the layer (log)", fontsize=10)
        known = all(_effective_known(layers) for _, layers in drawn)
        _explain(figure, moved=any(_moved(layers) for _, layers in drawn), known=known)
        if options.title:
            title = f"{panel.title}: layers at {percent(sparsity)} sparsity"
            figure.suptitle(figure_title(title), x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def _with_own_counts(cells: Sequence[Cell]) -> list[Cell]:
    """Without controls that keep as many weights in each layer as their method, where that is drawn."""
    methods = {cell.own_label for cell in cells if not cell.control}
    return [cell for cell in cells if cell.control not in _SAME_COUNTS or cell.own_label not in methods]


def _floor(drawn: Sequence[Sequence[LayerDensity]]) -> float:
    """The power of ten below every density but zero."""
    positive = [d for layers in drawn for layer in layers for d in (*layer.kept, *layer.effective, *layer.start) if d]
    return float(10 ** math.floor(math.log10(0.9 * min(positive, default=0.1))))


def _zero(low: float, steps: int = 1) -> float:
    """Where the row of crosses is and, two steps down, ends: a share of the decades below the axis."""
    return float(low / 10 ** (-0.1 * steps * math.log10(low)))


def _draw_method(axes: "Axes", cell: Cell, layers: Sequence[LayerDensity], low: float, width: float) -> None:
    """One method's bars, points and crosses, in a plot of about this width in inches."""
    _draw_bars(axes, cell, layers, low)
    _draw_runs(axes, cell, layers, low)
    axes.axhline(1 - cell.sparsity, color=style.INK, linestyle=(0, (5, 2)), linewidth=0.8, zorder=2)
    axes.grid(axis="y")
    axes.axhspan(_zero(low, 2), low, color=style.GRID, alpha=0.5, linewidth=0, zorder=0)
    axes.tick_params(labelsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_label_coords(0, 0)  # no label: at a fixed place matplotlib does not compute one
    _draw_heading(axes, cell, width)


def _draw_bars(axes: "Axes", cell: Cell, layers: Sequence[LayerDensity], low: float) -> None:
    """Mean density of every layer; pale where weights are cut off from input or output."""
    known = _effective_known(layers)
    bars = [("kept", [mean(layer.kept) or 0.0 for layer in layers], 0.3 if known else 0.6)]
    bars += [("effective", [mean(layer.effective) or 0.0 for layer in layers], 0.9)] if known else []
    for kind, densities, alpha in bars:
        heights = [max(density - low, 0.0) for density in densities]
        look: dict[str, Any] = {"color": style.colour(cell.method), "alpha": alpha, "linewidth": 0}
        axes.bar(range(len(layers)), heights, 0.76, bottom=low, **look).set_label(f"{kind}/{cell.method_label}")


def _draw_runs(axes: "Axes", cell: Cell, layers: Sequence[LayerDensity], low: float) -> None:
    """Every run a point; a cross where some run left a layer empty; a stroke where training started."""
    points = [(place, density) for place, layer in enumerate(layers) for density in layer.kept if density > 0]
    if points:
        look: dict[str, Any] = {"s": 5 if len(layers) <= 24 else 2.5, "linewidths": 0}
        gid = f"runs/{cell.method_label}"
        axes.scatter(*style.xy(points), color=style.INK, zorder=3, gid=gid, **look)
    if empty := [place for place, layer in enumerate(layers) if layer.empty]:
        row, gid = [_zero(low)] * len(empty), f"empty/{cell.method_label}"
        axes.scatter(empty, row, color=style.INK, zorder=3, gid=gid, **style.cross(len(layers)))
    if _moved(layers):
        strokes = [(place, mean(layer.start) or 0.0) for place, layer in enumerate(layers) if any(layer.start)]
        gid = f"start/{cell.method_label}"
        axes.scatter(*style.xy(strokes), zorder=3.5, gid=gid, **style.stroke(len(layers)))


def _draw_heading(axes: "Axes", cell: Cell, width: float) -> None:
    """The method and its effective sparsity, which stands inside the axes where the name is long."""
    name, colour = figure_name(cell.method_label), style.colour(cell.method)
    size = min(9.5, (72 * width - 30) / (0.68 * len(name)))
    axes.set_title(name, loc="left", y=style.ABOVE, fontsize=size, fontweight="bold", color=colour, pad=3)
    aside: dict[str, Any] = {"fontsize": 8, "color": style.MUTED}
    if 6.3 * len(name) + 120 < 72 * width:  # points
        axes.set_title(_effective(cell), loc="right", y=style.ABOVE, pad=3, **aside)
    else:
        axes.annotate(_effective(cell), (0.99, 0.97), xycoords="axes fraction", ha="right", va="top", **aside)


def _effective_known(layers: Sequence[LayerDensity]) -> bool:
    """Whether it is known which weights are cut off from input or output."""
    return all(layer.effective for layer in layers)


def _moved(layers: Sequence[LayerDensity]) -> bool:
    """Whether training moved weights between these layers."""
    return any(layer.start and layer.start != layer.kept for layer in layers)


def _scale(axes: "Axes", low: float) -> None:
    """A log axis of powers of ten in percent (every second one where they are many), and a row for zero."""
    from matplotlib.ticker import NullLocator

    axes.set_yscale("log")
    axes.set_ylim(_zero(low, 2), 2)
    decades = [10.0**power for power in range(0, round(math.log10(low)) - 1, -1 if low > 1e-4 else -2)]
    axes.set_yticks([*decades, _zero(low)], [*map(percent, decades), "0"])
    axes.yaxis.set_minor_locator(NullLocator())


def _effective(cell: Cell) -> str:
    """``effective 99.62%``: weights cut off from input or output count as removed."""
    final = cell.average("final_effective_sparsity")
    sparsity = cell.average("effective_sparsity") if final is None else final
    return "" if sparsity is None else f"effective {measured_sparsity(sparsity)}"


def _short(tensor: str, most: int = 28) -> str:
    """A tensor's name, of a long one the end."""
    name = tensor.removesuffix(".weight")
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _name_layers(bottom: "Sequence[Axes]", names: Sequence[str]) -> None:
    """Under the lowest plots, whose axis of layers all plots share."""
    step = math.ceil(len(names) / _NAMED)
    places = list(range(0, len(names), step))
    bottom[0].set_xticks(places, [names[place] for place in places])
    bottom[0].set_xlim(-0.7, len(names) - 0.3)
    for axes in bottom:
        axes.tick_params(axis="x", labelrotation=90, labelsize=6.5, length=2, labelbottom=True)


def _explain(figure: "Figure", moved: bool, known: bool) -> None:
    """What the marks mean, below the plots."""
    explain = "Bars: mean (pale: cut off from input or output); dots: runs; dashes: network; ×: empty in a run"
    explain += "" if known else "\nBars of one medium shade: what is cut off is not known for this network"
    explain += "\nBars are of the tested mask; strokes: the density that training started from" if moved else ""
    figure.supxlabel(explain, x=0.01, ha="left", fontsize=8, color=style.MUTED)


def _draw(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    """At the sparsities that are asked for, by default the highest that has masks."""
    drawn: list[Drawing] = []
    for sparsity in highest_first(panel):
        if options.at and sparsity not in options.at and not options.all_layers:
            continue
        if (figure := layers_figure(panel, stored.masks.at(panel, sparsity), sparsity, options)) is not None:
            drawn.insert(0, Drawing.at(sparsity, figure))
            if not (options.at or options.all_layers):
                break
    return drawn


FIGURE = ReportFigure("layers", _draw, shows="Density by layer", section="Masks")
