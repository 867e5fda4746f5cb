"""Where the weights that were kept are: the density of every layer, method by method, at one sparsity."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sweep.records import TrialRecord
from sweep.report.figures import style
from sweep.report.figures.frame import told_apart
from sweep.report.names import figure_name, figure_title, measured_sparsity
from sweep.report.statistics import Cell, at, mean, sparsities
from sweep.report.trials import Panel, among
from sweep.store import Store
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MASK_COLUMNS = ["trial_id", "tensor", "position", "total", "kept", "effective_kept", "start_kept"]
_SAME_COUNTS = ("shuffle_layerwise", "reinitialize")
_NARROW = 8  # with more methods the figure is wider
_NAMED = 30  # at most so many layers have their name under them


@dataclass(frozen=True)
class Layer:
    """One masked tensor under one method: what each run kept of it. Densities are fractions.

    Attributes:
        kept: one density a run.
        effective: the same, counting only weights on a path from input to output; of runs where that is known.
        start: one density a run, of the mask that the last training started from, where it is known.
    """

    tensor: str
    kept: tuple[float, ...]
    effective: tuple[float, ...]
    start: tuple[float, ...] = ()

    @property
    def empty(self) -> int:
        """Runs that kept nothing here."""
        return sum(density == 0 for density in self.kept)


def layers(cell: Cell, masks: pa.Table) -> list[Layer]:
    """The layers of one cell in network order, over its completed runs.

    Args:
        masks: at least the columns ``MASK_COLUMNS`` of the store's masks.
    """
    rows = among(masks.select(MASK_COLUMNS), [trial.trial_id for trial in cell.completed]).to_pylist()
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["trial_id"]):
        groups.setdefault((row["position"], row["tensor"]), []).append(row)
    return [
        Layer(
            tensor,
            tuple(row["kept"] / row["total"] for row in groups[position, tensor]),
            tuple(row["effective_kept"] / row["total"] for row in _known(groups[position, tensor], "effective_kept")),
            tuple(row["start_kept"] / row["total"] for row in _known(groups[position, tensor], "start_kept")),
        )
        for position, tensor in sorted(groups)
    ]


def _known(rows: Sequence[Mapping[str, Any]], column: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row[column] is not None]


class StoredMasks:
    """The masks of trials, read from their stores when the first of them is drawn."""

    def __init__(self, sources: Sequence[tuple[Store, Sequence[TrialRecord]]], panels: Sequence[Panel]):
        """``sources``: beside each store the trials that are taken from it; ``panels``: of all of them."""
        self._sources, self._panels = sources, panels

    def figure(self, panel: Panel) -> "tuple[float, Figure] | None":
        """The layers at the highest sparsity that has masks, and which that is."""
        for sparsity in (found := _highest_first(panel)):
            masks = self._highest if sparsity == found[0] else self._every
            if (figure := layers_figure(panel, masks, sparsity)) is not None:
                return sparsity, figure
        return None

    @cached_property
    def _highest(self) -> pa.Table:
        """Of the highest sparsity in each panel: mostly all that is drawn, and a small part of what there is."""
        found = [(panel, _highest_first(panel)[:1]) for panel in self._panels]
        return self._read({trial.trial_id for panel, top in found for trial in panel.trials if trial.sparsity in top})

    @cached_property
    def _every(self) -> pa.Table:
        return self._read(None)

    def _read(self, only: Container[str] | None) -> pa.Table:
        names = [[t.trial_id for t in trials if only is None or t.trial_id in only] for _, trials in self._sources]
        stores = [store for store, _ in self._sources]
        return pa.concat_tables(store.masks(its, MASK_COLUMNS) for store, its in zip(stores, names, strict=True))


def _highest_first(panel: Panel) -> list[float]:
    """The sparsities with a completed run."""
    return sparsities(cell for cell in panel.cells if cell.completed)[::-1]


def layers_figure(panel: Panel, masks: pa.Table, sparsity: float) -> "Figure | None":
    """Density by layer at one sparsity, one small plot a method; None where no run of it has a mask.

    A bar is the mean over runs, its pale part what is cut off from input or output; every run is a point. A
    layer that some run left empty is a cross in the row ``0``, below the logarithmic axis. Where training moved the
    mask, bars are what was tested and thin strokes the mean density that training started from.

    Artists carry a ``gid``: ``runs/force``, ``empty/force``, ``start/rigl``.
    """
    found = told_apart(_of_their_own(at(panel.cells, sparsity)))
    shown = [(cell, its) for cell in found if (its := layers(cell, masks))]
    if not shown:
        return None
    names = [_short(layer.tensor) for layer in shown[0][1]]
    wide = len(shown) > _NARROW
    width = 11.0 if wide else 7.4
    columns = min(len(shown), wide + (3 if len(names) <= 12 else 2 if len(names) <= 24 else 1))
    rows = math.ceil(len(shown) / columns)
    low = _floor([its for _, its in shown])
    with style.styled():
        height = 0.7 + 1.45 * rows + 0.055 * max(map(len, names))
        figure = style.new_figure((width, height))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        places = list(grid.flat)
        _scale(places[0], low)  # all share it: to scale each would scale all of them as often as there are methods
        for axes, (cell, its) in zip(places, shown, strict=False):
            _draw(axes, cell, its, low, width / columns)
        for axes in places[len(shown) :]:
            axes.set_visible(False)
        _name_layers(grid[-1], names)
        figure.supylabel("Density of the layer (log)", fontsize=10)
        known = all(_tells_effective(its) for _, its in shown)
        _draw_title(figure, panel, sparsity, moved=any(_moved(its) for _, its in shown), known=known)
    return figure


def _of_their_own(found: Sequence[Cell]) -> list[Cell]:
    """Without controls that keep as many weights in each layer as their method beside them."""
    methods = {cell.own_label for cell in found if not cell.control}
    return [cell for cell in found if cell.control not in _SAME_COUNTS or cell.own_label not in methods]


def _floor(shown: Sequence[Sequence[Layer]]) -> float:
    """The power of ten below every density but zero."""
    positive = [d for its in shown for layer in its for d in (*layer.kept, *layer.effective, *layer.start) if d > 0]
    return float(10 ** math.floor(math.log10(0.9 * min(positive, default=0.1))))


def _zero(low: float, steps: int = 1) -> float:
    """Where the row of crosses is and, two steps down, ends: a share of the decades below the axis."""
    return float(low / 10 ** (-0.1 * steps * math.log10(low)))


def _draw(axes: "Axes", cell: Cell, its: Sequence[Layer], low: float, width: float) -> None:
    """One method's bars, points and crosses, in a plot of about this width in inches."""
    colour = style.colour(cell.method)
    empty = [place for place, layer in enumerate(its) if layer.empty]
    known = _tells_effective(its)
    shown = [("kept", [mean(layer.kept) or 0.0 for layer in its], 0.3 if known else 0.6)]
    shown += [("effective", [mean(layer.effective) or 0.0 for layer in its], 0.9)] if known else []
    for kind, densities, alpha in shown:
        heights = [max(density - low, 0.0) for density in densities]
        bars = axes.bar(range(len(its)), heights, 0.76, bottom=low, color=colour, alpha=alpha, linewidth=0)
        bars.set_label(f"{kind}/{cell.method_label}")
    points = [(place, density) for place, layer in enumerate(its) for density in layer.kept if density > 0]
    if points:
        look: dict[str, Any] = {"s": 5 if len(its) <= 24 else 2.5, "linewidths": 0}
        gid = f"runs/{cell.method_label}"
        axes.scatter(*style.xy(points), color=style.INK, zorder=3, gid=gid, **look)
    if empty:
        row, gid = [_zero(low)] * len(empty), f"empty/{cell.method_label}"
        axes.scatter(empty, row, color=style.INK, zorder=3, gid=gid, **style.cross(len(its)))
    if _moved(its):
        strokes = [(place, mean(layer.start) or 0.0) for place, layer in enumerate(its) if any(layer.start)]
        gid = f"start/{cell.method_label}"
        axes.scatter(*style.xy(strokes), zorder=3.5, gid=gid, **style.stroke(len(its)))
    axes.axhline(1 - cell.sparsity, color=style.INK, linestyle=(0, (5, 2)), linewidth=0.8, zorder=2)
    axes.grid(axis="y")
    axes.axhspan(_zero(low, 2), low, color=style.GRID, alpha=0.5, linewidth=0, zorder=0)
    axes.tick_params(labelsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_label_coords(0, 0)  # there is no label: told where, matplotlib need not look for its place
    _draw_heading(axes, cell, width)


def _draw_heading(axes: "Axes", cell: Cell, width: float) -> None:
    """The method, and how much of the network is effectively gone: inside the axes where the name is long."""
    name, colour = figure_name(cell.method_label), style.colour(cell.method)
    size = min(9.5, (72 * width - 30) / (0.68 * len(name)))
    axes.set_title(name, loc="left", y=style.ABOVE, fontsize=size, fontweight="bold", color=colour, pad=3)
    aside: dict[str, Any] = {"fontsize": 8, "color": style.MUTED}
    if 6.3 * len(name) + 120 < 72 * width:  # points
        axes.set_title(_effective(cell), loc="right", y=style.ABOVE, pad=3, **aside)
    else:
        axes.annotate(_effective(cell), (0.99, 0.97), xycoords="axes fraction", ha="right", va="top", **aside)


def _tells_effective(its: Sequence[Layer]) -> bool:
    """Whether it is known what is cut off from input or output."""
    return all(layer.effective for layer in its)


def _moved(its: Sequence[Layer]) -> bool:
    """Whether training moved weights between these layers."""
    return any(layer.start and layer.start != layer.kept for layer in its)


def _scale(axes: "Axes", low: float) -> None:
    """A log axis of powers of ten as percent (every second one where they are many), and a row for nothing at all."""
    from matplotlib.ticker import NullLocator

    axes.set_yscale("log")
    axes.set_ylim(_zero(low, 2), 2)
    decades = [10.0**power for power in range(0, round(math.log10(low)) - 1, -1 if low > 1e-4 else -2)]
    axes.set_yticks([*decades, _zero(low)], [*map(percent, decades), "0"])
    axes.yaxis.set_minor_locator(NullLocator())


def _effective(cell: Cell) -> str:
    """``effective sparsity 99.62%``: the removed and the cut off together."""
    final = cell.average("final_effective_sparsity")
    sparsity = cell.average("effective_sparsity") if final is None else final
    return "" if sparsity is None else f"effective {measured_sparsity(sparsity)}"


def _short(tensor: str, most: int = 28) -> str:
    """A tensor's name as far as it tells layers apart and has room."""
    name = tensor.removesuffix(".weight")
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _name_layers(bottom: "Sequence[Axes]", names: Sequence[str]) -> None:
    """Under the lowest plots, which share their axis of layers with each other and with all above."""
    step = math.ceil(len(names) / _NAMED)
    places = list(range(0, len(names), step))
    bottom[0].set_xticks(places, [names[place] for place in places])
    bottom[0].set_xlim(-0.7, len(names) - 0.3)
    for axes in bottom:
        axes.tick_params(axis="x", labelrotation=90, labelsize=6.5, length=2, labelbottom=True)


def _draw_title(figure: "Figure", panel: Panel, sparsity: float, moved: bool, known: bool) -> None:
    title = f"{panel.title}: layers at {percent(sparsity)} sparsity"
    figure.suptitle(figure_title(title), x=0.01, ha="left", fontsize=11, fontweight="bold")
    explain = "Bars: mean (pale: cut off from input or output); dots: runs; dashes: network; ×: empty in a run"
    explain += "" if known else "\nBars of one medium shade: what is cut off is not known for this network"
    explain += "\nBars are of the tested mask; strokes: the density that training started from" if moved else ""
    figure.supxlabel(explain, x=0.01, ha="left", fontsize=8, color=style.MUTED)
