"""What the figures of accuracy have in common: title, the line at chance, legend."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from sweep.report.figures import style
from sweep.report.names import figure_title
from sweep.report.statistics import Cell, accuracies, labels
from sweep.report.tables import accuracy_text
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_CHARACTERS, _MARGIN = 16.5, 10  # of the text below the title: to an inch, and left of the axes
_MOST = 16  # with more lines, controls have a figure of their own alone


def told_apart(found: Sequence[Cell]) -> list[Cell]:
    """The cells that one figure can hold: without controls where the lines would be too many."""
    methods = [cell for cell in found if not cell.control]
    return methods if len(labels(found)) > _MOST and labels(methods) else list(found)


def size(methods: int) -> tuple[float, float]:
    """Width and height in inches of a figure with so many lines in its legend."""
    return 9.0, max(4.7, 0.75 + 0.21 * methods)


def variants(all_labels: Iterable[str]) -> dict[str, int]:
    """Which of its method's variants each label is: it sets the dash."""
    seen: Counter[str] = Counter()
    which = {}
    for label in all_labels:
        name = label.split(" ")[0]
        which[label] = seen[name]
        seen[name] += 1
    return which


def draw_dense(axes: "Axes", dense: Sequence[Cell]) -> None:
    """The dense network's mean as a level line, in a band of one sample standard deviation."""
    for cell in dense:
        if cell.mean is None:
            continue
        line = axes.axhline(100 * cell.mean, color=style.INK, linestyle=(0, (5, 2)), linewidth=1.1, zorder=2)
        line.set(gid="mean/dense", label=f"Dense {accuracy_text(cell)}")
        if cell.std is not None:
            low, high = 100 * (cell.mean - cell.std), 100 * (cell.mean + cell.std)
            axes.axhspan(low, high, color=style.INK, alpha=0.07, linewidth=0, gid="std/dense")


def draw_chance(
    axes: "Axes", panel: Panel, found: Sequence[Cell], others: Sequence[float] = (), right: bool = False
) -> str:
    """Chance as a dotted line; returned as a remark where every run is far above it: the runs fill the figure.

    Args:
        others: what else has to fit in, in percent.
        right: write at the right end of the line, where runs at chance are on the left.
    """
    heights = [100 * accuracy for cell in found for accuracy in accuracies(cell.completed)] + list(others)
    if not panel.classes or not heights:
        return ""
    chance, low, high = 100 / panel.classes, min(heights), max(heights)
    high = max(high, 1.2 * chance)  # where all collapsed alike there is no range
    if low > chance + 0.5 * (high - chance):
        return f"; chance, {chance:.3g}%, is below the axis"
    axes.axhline(chance, color=style.MUTED, linestyle=style.DOTTED, linewidth=1.1, zorder=1, gid="chance")
    axes.annotate(
        f"chance, {chance:.3g}%",
        (float(right), chance),
        xycoords=("axes fraction", "data"),
        xytext=(-6 if right else 6, 3),
        textcoords="offset points",
        ha="right" if right else "left",
        fontsize=8,
        color=style.MUTED,
    )
    whole = high - min(low, chance)
    axes.set_ylim(min(low, chance) - 0.06 * whole, min(101, high + 0.08 * whole))
    return ""


def draw_rings(axes: "Axes", points: Sequence[tuple[float, float]]) -> None:
    """A ring around runs whose batches were taken in pieces."""
    if points:
        axes.scatter(*style.xy(points), **style.RING)


def draw_title(axes: "Axes", panel: Panel, found: Sequence[Cell], remark: str) -> None:
    """What network on what data; below it what the marks mean."""
    counts = span({len(cell.completed) for cell in found})
    if any(cell.control for cell in panel.cells) and not any(cell.control for cell in found):
        remark += "; controls have their own figure"
    explained = f"every run a point, mean and sample std of those that trained{remark}"
    width = cast("Figure", axes.figure).get_figwidth()
    lines = textwrap.wrap(f"{_epochs(panel, found)}, n = {counts}; {explained}", round(_CHARACTERS * width) - _MARGIN)
    axes.set_title(figure_title(panel.title), loc="left", y=style.ABOVE, fontweight="bold", pad=9 + 11 * len(lines))
    note = axes.annotate(
        "\n".join(lines),
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 7),
        textcoords="offset points",
        fontsize=8.5,
        color=style.MUTED,
    )
    note.set_in_layout(False)  # else one that is wider than the axes would squeeze them


def _epochs(panel: Panel, found: Sequence[Cell]) -> str:
    """``5 epochs``; ``5 epochs a training`` where a method trains more than once."""
    in_all = {trial.epochs for cell in found for trial in cell.completed}
    repeated = panel.epochs is not None and max(in_all, default=0) > panel.epochs
    text = str(panel.epochs) if repeated else span(in_all)
    return f"{text} epoch{'' if text == '1' else 's'}{' a training' if repeated else ''}"


def draw_legend(axes: "Axes", found: Sequence[Cell], others: Sequence["Line2D"] = ()) -> None:
    """Beside the axes: all labelled lines; what a cross is where there is one; and others."""
    from matplotlib.lines import Line2D

    lines, names = axes.get_legend_handles_labels()
    drawn: dict[str | None, Cell] = {f"mean/{cell.method_label}": cell for cell in found}
    handles = [_with_marker(line, drawn[line.get_gid()]) for line in lines]
    if any(cell.collapsed for cell in found):
        dots: dict[str, Any] = {"linestyle": style.DOTTED, "linewidth": 1.5, "marker": "x", "markersize": 5}
        handles.append(Line2D([], [], color=style.MUTED, **dots))
        names.append("at chance")
    if any(cell.in_pieces for cell in found):
        handles.append(Line2D([], [], linestyle="", marker="o", **style.RING_ENTRY))
        names.append("batches in pieces")
    handles += others
    names += [str(other.get_label()) for other in others]
    look: dict[str, Any] = {"framealpha": 0.9, "edgecolor": "none", "fontsize": 9}
    look["handlelength"] = 4.6 if any(variants(labels(found)).values()) else 2.6  # room to see the dash
    axes.figure.legend(handles, names, loc="outside right center", **look)  # inside it would cover a line


def _with_marker(line: Any, cell: Cell) -> Any:
    """A legend entry of line and point together."""
    from matplotlib.lines import Line2D

    look = style.point(cell.method_label)
    entry = Line2D([], [])
    entry.update_from(line)  # its dash above all: get_linestyle() knows only "--"
    entry.set_marker("" if cell.method == "dense" else look["marker"])
    entry.set(markersize=5.5, markeredgewidth=look["linewidths"])
    entry.set(markerfacecolor=look["facecolors"], markeredgecolor=look["edgecolors"])
    return entry


def span(numbers: set[int]) -> str:
    """``{3}`` -> ``3``, ``{2, 3}`` -> ``2 to 3``."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return str(low) if low == high else f"{low} to {high}"
