"""The density of every layer, method by method, at one sparsity."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sweep.report.cells import Cell, at
from sweep.report.figures import style
from sweep.report.figures.accuracy_parts import distinguishable
from sweep.report.figures.palette import GRID, INK, MUTED, colour
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.figures.stored_masks import LayerDensity, highest_first, layer_densities
from sweep.report.names import figure_name, measured_sparsity
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel
from sweep.statistics import mean
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SAME_COUNTS = ("shuffle_layerwise", "reinitialize")
_NARROW = 8  # with more methods the figure is wider, unless its width is given
_LEAST_WIDTH = 1.5  # inches of a plot in print
_NAMED = 30  # at most so many layers have their name under them …
_NAME_SIZE = 7.0  # … in type of so many points


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
    width, columns = _page(options, len(drawn), len(names))
    rows = math.ceil(len(drawn) / columns)
    low = _floor([layers for _, layers in drawn])
    with style.styled(options):
        height = 0.7 + style.thick(1.45) * rows + 0.055 * max(map(len, names))
        figure = style.new_figure((width, height))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        plots = list(grid.flat)
        _scale(plots[0], low, options)  # they share their axes: scaling each would scale all as often
        for axes, (cell, layers) in zip(plots, drawn, strict=False):
            _draw_method(axes, cell, layers, low, width / columns)
        for axes in plots[len(drawn) :]:
            axes.set_visible(False)
        _name_layers(grid[-1], names, 0.8 * width / columns)
        figure.supylabel("Density of the layer (log)")
        known = all(_effective_known(layers) for _, layers in drawn)
        _explain(figure, width, moved=any(_moved(layers) for _, layers in drawn), known=known)
        style.draw_title(figure, f"{panel.title}: layers at {percent(sparsity)} sparsity", options)
    return figure


def _page(options: ReportOptions, methods: int, layers: int) -> tuple[float, int]:
    """Inches of the figure, and plots side by side."""
    most = 3 if layers <= 12 else 2 if layers <= 24 else 1
    if options.width_inches is not None:
        return options.width_inches, max(1, min(methods, most + 1, int(options.width_inches / _LEAST_WIDTH)))
    wide = methods > _NARROW
    return (11.0 if wide else style.WIDTH), min(methods, wide + most)


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
    axes.axhline(1 - cell.sparsity, color=INK, linestyle=(0, (5, 2)), linewidth=0.8, zorder=2)
    axes.grid(axis="y")
    axes.axhspan(_zero(low, 2), low, color=GRID, alpha=0.5, linewidth=0, zorder=0)
    axes.tick_params(labelsize=style.small())
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
        look: dict[str, Any] = {"color": colour(cell.method), "alpha": alpha, "linewidth": 0}
        axes.bar(range(len(layers)), heights, 0.76, bottom=low, **look).set_label(f"{kind}/{cell.method_label}")


def _draw_runs(axes: "Axes", cell: Cell, layers: Sequence[LayerDensity], low: float) -> None:
    """Every run a point; a cross where some run left a layer empty; a stroke where training started."""
    points = [(place, density) for place, layer in enumerate(layers) for density in layer.kept if density > 0]
    if points:
        look: dict[str, Any] = {"s": style.thick(2.2 if len(layers) <= 24 else 1.6) ** 2, "linewidths": 0}
        gid = f"runs/{cell.method_label}"
        axes.scatter(*style.xy(points), color=INK, zorder=3, gid=gid, **look)
    if empty := [place for place, layer in enumerate(layers) if layer.empty]:
        row, gid = [_zero(low)] * len(empty), f"empty/{cell.method_label}"
        axes.scatter(empty, row, color=INK, zorder=3, gid=gid, **style.cross(len(layers)))
    if _moved(layers):
        strokes = [(place, mean(layer.start) or 0.0) for place, layer in enumerate(layers) if any(layer.start)]
        gid = f"start/{cell.method_label}"
        axes.scatter(*style.xy(strokes), zorder=3.5, gid=gid, **style.stroke(len(layers)))


def _draw_heading(axes: "Axes", cell: Cell, width: float) -> None:
    """The method and its effective sparsity, which stands below the name where both do not fit a line."""
    name, most = figure_name(cell.method_label), float(axes.title.get_fontsize())
    size = min(most, (72 * width - 30) / (0.68 * len(name)))
    title: dict[str, Any] = {"fontsize": size, "fontweight": "bold", "color": colour(cell.method)}
    axes.set_title(name, loc="left", y=style.ABOVE, pad=3, **title)
    aside: dict[str, Any] = {"fontsize": style.small(), "color": MUTED}
    if 0.66 * most * len(name) + 14 * style.small() < 72 * width - 20:  # points
        axes.set_title(_effective(cell), loc="right", y=style.ABOVE, pad=3, **aside)
    else:
        axes.annotate(
            _effective(cell), (0, 1), xycoords="axes fraction", xytext=(0, 2), textcoords="offset points", **aside
        )
        axes.set_title(name, loc="left", y=style.ABOVE, pad=3 + 1.2 * style.small(), **title)


def _effective_known(layers: Sequence[LayerDensity]) -> bool:
    """Whether it is known which weights are cut off from input or output."""
    return all(layer.effective for layer in layers)


def _moved(layers: Sequence[LayerDensity]) -> bool:
    """Whether training moved weights between these layers."""
    return any(layer.start and layer.start != layer.kept for layer in layers)


def _scale(axes: "Axes", low: float, options: ReportOptions) -> None:
    """A log axis of powers of ten in percent (every second one where they are many), and a row for zero."""
    from matplotlib.ticker import NullLocator

    axes.set_yscale("log")
    axes.set_ylim(_zero(low, 2), 2)
    decades = [10.0**power for power in range(0, round(math.log10(low)) - 1, -1 if low > 1e-4 else -2)]
    names = [*map(percent, decades)]
    if options.width_inches is not None:
        names[-1] = ""  # in small plots it would lie on the name of the row for zero
    axes.set_yticks([*decades, _zero(low)], [*names, "0"])
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


def _name_layers(bottom: "Sequence[Axes]", names: Sequence[str], width: float) -> None:
    """Under the lowest plots, whose axis of layers all plots share; about ``width`` inches wide."""
    step = math.ceil(len(names) / min(_NAMED, 72 * width / (1.2 * _NAME_SIZE)))
    places = list(range(0, len(names), step))
    bottom[0].set_xticks(places, [names[place] for place in places])
    bottom[0].set_xlim(-0.7, len(names) - 0.3)
    for axes in bottom:
        axes.tick_params(axis="x", labelrotation=90, labelsize=_NAME_SIZE, length=2, labelbottom=True)


def _explain(figure: "Figure", width: float, moved: bool, known: bool) -> None:
    """What the marks mean, below the plots."""
    lines = ["Bars: mean (pale: cut off from input or output); dots: runs; dashes: network; ×: empty in a run"]
    lines += [] if known else ["Bars of one medium shade: what is cut off is not known for this network"]
    lines += ["Bars are of the tested mask; strokes: the density that training started from"] if moved else []
    explain = "\n".join(textwrap.fill(line, int(72 * width / (0.55 * style.small()))) for line in lines)
    figure.supxlabel(explain, x=0.01, ha="left", fontsize=style.small(), color=MUTED)


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
