"""Parts of every figure with accuracy on its y axis: title, dense network, line at chance, legend."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from sweep.report.cells import Cell, accuracies, labels
from sweep.report.figures import style
from sweep.report.names import figure_title
from sweep.report.options import ReportOptions
from sweep.report.tables import accuracy_text, span
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_CHARACTERS_AN_INCH, _LEFT_MARGIN = 16.5, 10  # of the text below the title
_MOST_LINES = 16  # with more, controls are only in their own figure


def distinguishable(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that one figure shows: without controls where there would be too many lines."""
    methods = [cell for cell in cells if not cell.control]
    return methods if len(labels(cells)) > _MOST_LINES and labels(methods) else list(cells)


def size(methods: int) -> tuple[float, float]:
    """Width and height in inches of a figure with so many lines in its legend."""
    return 9.0, max(4.7, 0.75 + 0.21 * methods)


def variants(all_labels: Iterable[str]) -> dict[str, int]:
    """Label -> its number among the variants of its method, which sets the dash."""
    seen: Counter[str] = Counter()
    numbers = {}
    for label in all_labels:
        name = label.split(" ")[0]
        numbers[label] = seen[name]
        seen[name] += 1
    return numbers


def draw_dense(axes: "Axes", dense: Sequence[Cell]) -> None:
    """The dense network's mean as a horizontal line, in a band of one sample standard deviation."""
    for cell in dense:
        if cell.mean is None:
            continue
        line = axes.axhline(100 * cell.mean, color=style.INK, linestyle=(0, (5, 2)), linewidth=1.1, zorder=2)
        line.set(gid="mean/dense", label=f"Dense {accuracy_text(cell)}")
        if cell.std is not None:
            low, high = 100 * (cell.mean - cell.std), 100 * (cell.mean + cell.std)
            axes.axhspan(low, high, color=style.INK, alpha=0.07, linewidth=0, gid="std/dense")


def draw_chance(
    axes: "Axes", panel: Panel, cells: Sequence[Cell], others: Sequence[float] = (), right: bool = False
) -> str:
    """Draw chance as a dotted line, or return a remark where every run is far above it: then the runs fill the figure.

    Args:
        axes: where to draw.
        panel: of the cells.
        cells: all that are drawn.
        others: other heights that the axes have to include, in percent.
        right: write at the right end of the line, where runs at chance are on the left.
    """
    heights = [100 * accuracy for cell in cells for accuracy in accuracies(cell.completed)] + list(others)
    if not panel.classes or not heights:
        return ""
    chance, low, high = 100 / panel.classes, min(heights), max(heights)
    high = max(high, 1.2 * chance)  # where all runs collapsed to one accuracy there is no range
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
    extent = high - min(low, chance)
    axes.set_ylim(min(low, chance) - 0.06 * extent, min(101, high + 0.08 * extent))
    return ""


def draw_rings(axes: "Axes", points: Sequence[tuple[float, float]]) -> None:
    """A ring around runs that split their batches."""
    if points:
        axes.scatter(*style.xy(points), **style.RING)


def draw_title(axes: "Axes", panel: Panel, cells: Sequence[Cell], remark: str, options: ReportOptions) -> None:
    """Data and network; below them epochs, number of runs and what the marks mean."""
    if not options.title:
        return
    counts = span({len(cell.completed) for cell in cells})
    if any(cell.control for cell in panel.cells) and not any(cell.control for cell in cells):
        remark += "; controls have their own figure"
    meaning = f"every run a point, mean and sample std of those that trained{remark}"
    width = cast("Figure", axes.figure).get_figwidth()
    characters = round(_CHARACTERS_AN_INCH * width) - _LEFT_MARGIN
    lines = textwrap.wrap(f"{_epochs(panel, cells)}, n = {counts}; {meaning}", characters)
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
    note.set_in_layout(False)  # else a note wider than the axes would make them narrower


def _epochs(panel: Panel, cells: Sequence[Cell]) -> str:
    """``5 epochs``; ``5 epochs a training`` where a method trains more than once."""
    in_all = {trial.epochs for cell in cells for trial in cell.completed}
    repeated = panel.epochs is not None and max(in_all, default=0) > panel.epochs
    text = str(panel.epochs) if repeated else span(in_all)
    return f"{text} epoch{'' if text == '1' else 's'}{' a training' if repeated else ''}"


def draw_legend(axes: "Axes", cells: Sequence[Cell], others: Sequence["Line2D"] = ()) -> None:
    """Beside the axes: all labelled lines, the marks that occur, and others."""
    from matplotlib.lines import Line2D

    lines, names = axes.get_legend_handles_labels()
    drawn: dict[str | None, Cell] = {f"mean/{cell.method_label}": cell for cell in cells}
    handles = [_with_marker(line, drawn[line.get_gid()]) for line in lines]
    if any(cell.collapsed for cell in cells):
        dots: dict[str, Any] = {"linestyle": style.DOTTED, "linewidth": 1.5, "marker": "x", "markersize": 5}
        handles.append(Line2D([], [], color=style.MUTED, **dots))
        names.append("at chance")
    if any(cell.in_pieces for cell in cells):
        handles.append(Line2D([], [], linestyle="", marker="o", **style.RING_ENTRY))
        names.append("batches in pieces")
    handles += others
    names += [str(other.get_label()) for other in others]
    look: dict[str, Any] = {"framealpha": 0.9, "edgecolor": "none", "fontsize": 9}
    look["handlelength"] = 4.6 if any(variants(labels(cells)).values()) else 2.6  # room to see the dash
    axes.figure.legend(handles, names, loc="outside right center", **look)  # inside it would cover a line


def _with_marker(line: Any, cell: Cell) -> Any:
    """A legend entry with both the line and the marker of a method."""
    from matplotlib.lines import Line2D

    look = style.point(cell.method_label)
    entry = Line2D([], [])
    entry.update_from(line)  # its dash above all: get_linestyle() knows only "--"
    entry.set_marker("" if cell.method == "dense" else look["marker"])
    entry.set(markersize=5.5, markeredgewidth=look["linewidths"])
    entry.set(markerfacecolor=look["facecolors"], markeredgecolor=look["edgecolors"])
    return entry
