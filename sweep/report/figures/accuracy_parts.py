"""Parts of every figure with accuracy on its y axis: title, dense network, line at chance, legend."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from sweep.report.cells import Cell, accuracies, labels
from sweep.report.figures import style
from sweep.report.figures.legend import Entry, reserve
from sweep.report.figures.palette import INK, MUTED, dashes
from sweep.report.names import figure_title
from sweep.report.options import ReportOptions
from sweep.report.tables import accuracy_text, span
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_MOST_LINES = 16  # with more, controls are only in their own figure


def distinguishable(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that one figure shows: without controls where there would be too many lines."""
    methods = [cell for cell in cells if not cell.control]
    return methods if len(labels(cells)) > _MOST_LINES and labels(methods) else list(cells)


def size(options: ReportOptions) -> tuple[float, float]:
    """Width and height in inches, without title and legend."""
    return style.width(options), 0.52 * style.width(options) + 0.5


def draw_dense(axes: "Axes", dense: Sequence[Cell]) -> None:
    """The dense network's mean as a horizontal line, in a band of one sample standard deviation."""
    for cell in dense:
        if cell.mean is None:
            continue
        line = axes.axhline(100 * cell.mean, color=INK, linestyle=dashes("dense"), linewidth=style.thick(1.1), zorder=2)
        line.set(gid="mean/dense", label=f"Dense {accuracy_text(cell)}")
        if cell.std is not None:
            low, high = 100 * max(0.0, cell.mean - cell.std), 100 * min(1.0, cell.mean + cell.std)
            axes.axhspan(low, high, color=INK, alpha=0.07, linewidth=0, gid="std/dense")


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
    axes.axhline(chance, color=MUTED, linestyle=style.DOTTED, linewidth=style.thick(1.1), zorder=1, gid="chance")
    axes.annotate(
        f"chance, {chance:.3g}%",
        (float(right), chance),
        xycoords=("axes fraction", "data"),
        xytext=(-6 if right else 6, 3),
        textcoords="offset points",
        ha="right" if right else "left",
        fontsize=style.small(),
        color=MUTED,
    )
    extent = high - min(low, chance)
    axes.set_ylim(min(low, chance) - 0.06 * extent, min(101, high + 0.08 * extent))
    return ""


def draw_title(
    axes: "Axes", panel: Panel, cells: Sequence[Cell], remark: str, options: ReportOptions, above: float
) -> None:
    """Data and network; below them epochs, number of runs and what the marks mean. The figure grows by its height.

    Args:
        axes: of the figure.
        panel: of the cells.
        cells: all that are drawn.
        remark: more to say below the title.
        options: whether there is a title.
        above: points above the axes that the legend takes.
    """
    figure = cast("Figure", axes.figure)
    if not options.title:
        if above:
            reserve(axes, above)
            figure.set_figheight(figure.get_figheight() + above / 72)
        return
    lines = _explanation(panel, cells, remark, figure.get_figwidth())
    title, line = figure_title(panel.title, style.title_characters(options)), 1.3 * style.small()
    below = above + 9 + line * len(lines)
    axes.set_title(title, loc="left", y=style.ABOVE, fontweight="bold", fontsize=style.title_size(), pad=below)
    note = axes.annotate("\n".join(lines), (0, 1), xycoords="axes fraction", textcoords="offset points",
                         xytext=(0, 7 + above), fontsize=style.small(), color=MUTED, gid="note")  # fmt: skip
    note.set_in_layout(False)  # else a note wider than the axes would make them narrower
    height = below + 1.3 * style.title_size() * (1 + title.count("\n"))
    figure.set_figheight(figure.get_figheight() + height / 72)


def _explanation(panel: Panel, cells: Sequence[Cell], remark: str, width: float) -> list[str]:
    """Epochs, number of runs and what the marks mean, in lines that fit a figure of so many inches."""
    counts = span({len(cell.completed) for cell in cells})
    if any(cell.control for cell in panel.cells) and not any(cell.control for cell in cells):
        remark += "; controls have their own figure"
    meaning = f"every run a dot; mean and sample std of those that trained{remark}"
    characters = int((72 * width - 60) / (0.53 * style.small()))
    return textwrap.wrap(f"{_epochs(panel, cells)}, n = {counts}; {meaning}", characters)


def _epochs(panel: Panel, cells: Sequence[Cell]) -> str:
    """``5 epochs``; ``5 epochs a training`` where a method trains more than once."""
    in_all = {trial.epochs for cell in cells for trial in cell.completed}
    repeated = panel.epochs is not None and max(in_all, default=0) > panel.epochs
    text = str(panel.epochs) if repeated else span(in_all)
    return f"{text} epoch{'' if text == '1' else 's'}{' a training' if repeated else ''}"


def legend_entries(axes: "Axes", cells: Sequence[Cell], others: Sequence["Line2D"] = ()) -> list[Entry]:
    """All labelled lines, the marks that occur, and others."""
    from matplotlib.lines import Line2D

    entries = [Entry(line, name) for line, name in zip(*axes.get_legend_handles_labels(), strict=True)]
    if any(cell.collapsed for cell in cells):
        dots: dict[str, Any] = {"linestyle": style.DOTTED, "linewidth": style.thick(1.5), "markersize": style.thick(5)}
        entries.append(Entry(Line2D([], [], color=MUTED, marker="x", **dots), "at chance"))
    if any(cell.in_pieces for cell in cells):
        entries.append(Entry(Line2D([], [], linestyle="", **style.ring_entry()), "batches in pieces"))
    return entries + [Entry(other, str(other.get_label())) for other in others]
