"""Figure 1: final test accuracy against sparsity, one line a method, every run a point."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.report import style
from sweep.report.axis import SparsityAxis
from sweep.report.line import Line
from sweep.report.statistics import Cell, accuracies, at, cells, labels, sparsities
from sweep.report.table import accuracy_text
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INSIDE = 6  # with more methods the legend stands beside the axes


def accuracy_figure(panel: Panel) -> "Figure":
    """One panel as a figure: accuracy in percent, and density on a log axis that is labelled as sparsity.

    Artists carry a ``gid`` by which they are found again, in the SVG too: ``mean/force``, ``std/force``,
    ``runs/force``, ``collapsed/force``, ``chance``.
    """
    from matplotlib.figure import Figure

    found = [cell for cell in cells(panel) if cell.completed]
    axis = SparsityAxis(tuple(sparsities(found)), len(labels(found)))
    with style.styled():
        figure = Figure(figsize=(7.4 if axis.methods <= _INSIDE else 9.0, 4.7), layout="constrained")
        axes = figure.add_subplot()
        axis.apply(axes)
        _draw_dense(axes, [cell for cell in found if cell.method == "dense"])
        for place, label in enumerate(labels(found)):
            line = [cell for cell in found if cell.method_label == label]
            Line(line, _variant(label, labels(found)), axis.offset(place)).draw(axes)
        _draw_tallies(axes, found)
        remark = _draw_chance(axes, panel, found)
        axes.grid(axis="y")
        axes.grid(axis="x", linestyle=style.DOTTED)
        axes.set_ylabel("Test accuracy, final epoch (%)")
        _draw_title(axes, panel, found, remark)
        _draw_legend(axes, found)
    return figure


def _variant(label: str, all_labels: Sequence[str]) -> int:
    """Which of its method's variants a label is."""
    name = label.split(" ")[0]
    return [other for other in all_labels if other.split(" ")[0] == name].index(label)


def _draw_dense(axes: "Axes", dense: Sequence[Cell]) -> None:
    """The dense network as a level line; its runs stand at the left edge: density 1 is off the axis."""
    for cell in dense:
        if cell.mean is None:
            continue
        line = axes.axhline(100 * cell.mean, color=style.INK, linestyle=(0, (5, 2)), linewidth=1.1, zorder=2)
        line.set(gid="mean/dense", label=f"Dense {accuracy_text(cell)}")
        if cell.std is not None:
            low, high = 100 * (cell.mean - cell.std), 100 * (cell.mean + cell.std)
            axes.axhspan(low, high, color=style.INK, alpha=0.07, linewidth=0, gid="std/dense")
        heights = [100 * accuracy for accuracy in accuracies(cell.trained)]
        places = [0.012 + 0.011 * i for i in range(len(heights))]  # shares of the axis
        edge: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "gid": "runs/dense", "zorder": 4}
        axes.scatter(places, heights, color=style.INK, **style.point("dense"), **edge)


def _draw_tallies(axes: "Axes", found: Sequence[Cell]) -> None:
    """How many runs are at chance in cells where others trained, one above the other over the crosses."""
    for sparsity in sparsities(found):
        mixed = [cell for cell in at(found, sparsity) if cell.n and cell.collapsed]
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


def _draw_chance(axes: "Axes", panel: Panel, found: Sequence[Cell]) -> str:
    """Chance as a dotted line; returned as a remark where every run is far above it: the runs fill the figure."""
    heights = [100 * accuracy for cell in found for accuracy in accuracies(cell.completed)]
    if not panel.classes or not heights:
        return ""
    chance, low, high = 100 / panel.classes, min(heights), max(heights)
    high = max(high, 1.2 * chance)  # where all collapsed alike there is no range
    if low > chance + 0.5 * (high - chance):
        return f"; chance, {chance:.3g}%, is below the axis"
    axes.axhline(chance, color=style.MUTED, linestyle=style.DOTTED, linewidth=1.1, zorder=1, gid="chance")
    axes.annotate(
        f"chance, {chance:.3g}%",
        (0, chance),
        xycoords=("axes fraction", "data"),
        xytext=(6, 3),
        textcoords="offset points",
        fontsize=8,
        color=style.MUTED,
    )
    whole = high - min(low, chance)
    axes.set_ylim(min(low, chance) - 0.06 * whole, min(101, high + 0.08 * whole))
    return ""


def _draw_title(axes: "Axes", panel: Panel, found: Sequence[Cell], remark: str) -> None:
    """What network on what data; below it what the marks mean."""
    counts = span({len(cell.completed) for cell in found})
    epochs = span({trial.epochs for cell in found for trial in cell.completed})
    axes.set_title(style.wrapped(panel.title), loc="left", fontweight="bold", pad=20)
    axes.annotate(
        f"{epochs} epoch{'' if epochs == '1' else 's'}, n = {counts}; "
        f"every run a point, mean and sample std of those that trained{remark}",
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 7),
        textcoords="offset points",
        fontsize=8.5,
        color=style.MUTED,
    )


def _draw_legend(axes: "Axes", found: Sequence[Cell]) -> None:
    from matplotlib.lines import Line2D

    lines, names = axes.get_legend_handles_labels()
    handles = [_with_marker(line, found) for line in lines]
    if any(cell.collapsed for cell in found):
        dots: dict[str, Any] = {"linestyle": style.DOTTED, "linewidth": 1.5, "marker": "x", "markersize": 5}
        handles.append(Line2D([], [], color=style.MUTED, **dots))
        names.append("at chance")
    look = {"framealpha": 0.9, "edgecolor": "none", "handlelength": 2.6, "fontsize": 9}
    if len(lines) <= 1 + _INSIDE:
        axes.legend(handles, names, loc="best", **look)
    else:
        axes.figure.legend(handles, names, loc="outside right center", **look)


def _with_marker(line: Any, found: Sequence[Cell]) -> Any:
    """A legend entry of line and point together."""
    from matplotlib.lines import Line2D

    method = next(c.method for c in found if f"mean/{c.method_label}" == line.get_gid())
    entry = Line2D([], [], markersize=5.5, markeredgecolor="white", markeredgewidth=0.5)
    entry.set(color=line.get_color(), linestyle=line.get_linestyle(), linewidth=line.get_linewidth())
    entry.set_marker("" if method == "dense" else style.marker(method))
    return entry


def span(numbers: set[int]) -> str:
    """``{3}`` -> ``3``, ``{2, 3}`` -> ``2 to 3``."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return str(low) if low == high else f"{low} to {high}"
