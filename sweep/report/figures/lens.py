"""A lens: the part of a figure where curves lie on one another, drawn again in a larger scale where there is room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from sweep.report.cells import Cell, by_label, sparsities
from sweep.report.figures import style
from sweep.report.figures.free_space import Box, FreeSpace
from sweep.report.figures.method_line import height
from sweep.report.figures.palette import INK, MUTED
from sweep.report.figures.sparsity_axis import SparsityAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEAR = 0.05  # curves closer than this share of the axis lie on one another
_FEWEST = 3  # so many curves
_LEAST_ZOOM = 2.5
_SIZES = ((0.52, 0.46), (0.46, 0.42), (0.42, 0.36), (0.36, 0.32))  # of a lens, as shares of the axes
_CONNECTOR = "#c4c4c4"
_STEPS = 24  # places that are tried along each side


@dataclass(frozen=True)
class Region:
    """What a lens shows: a run of sparsities, and accuracies in percent."""

    sparsities: tuple[float, ...]
    bottom: float
    top: float


def crowded(cells: Sequence[Cell], low: float, high: float) -> Region | None:
    """The longest run of sparsities at which the same methods lie on one another at the top; None where none does.

    Args:
        cells: of all methods that are drawn.
        low, high: the limits of the axis, in percent.
    """
    near = _NEAR * (high - low)
    lines = {label: {cell.sparsity: 100 * height(cell) for cell in line} for label, line in by_label(cells).items()}
    columns = sparsities(cells)
    runs = sorted(combinations(range(len(columns) + 1), 2), key=lambda run: run[0] - run[1])
    for start, end in runs:
        if end - start < 2:
            break
        run = columns[start:end]
        tops = {s: max(line[s] for line in lines.values() if s in line) for s in run}
        there = [line for line in lines.values() if all(s in line and line[s] >= tops[s] - near for s in run)]
        heights = [line[s] for line in there for s in run]
        if len(there) >= _FEWEST and max(heights) - min(heights) <= 1.5 * near:
            margin = max(0.12 * (max(heights) - min(heights)), 0.01 * (high - low))
            return Region(tuple(run), min(heights) - margin, min(100.0, max(heights) + margin))
    return None


def draw_lens(axes: "Axes", region: Region, free: FreeSpace, draw: Callable[["Axes"], None]) -> bool:
    """Draw the region in an inset where it covers nothing. Returns whether there was room.

    Args:
        axes: of the figure.
        region: what to show.
        free: the room of the axes; the lens takes its part.
        draw: draws the curves on other axes.
    """
    low, high = axes.get_ylim()
    right = axes.transAxes.inverted().transform(axes.transData.transform((1 - region.sparsities[-1], low)))[0]
    bottom = (region.bottom - low) / (high - low)
    shown = _box(free, (0, bottom - 0.03, right, 1 - bottom))
    for size in _SIZES:
        if size[1] * (high - low) < _LEAST_ZOOM * (region.top - region.bottom):
            continue
        if (place := _place(free, shown, size)) is not None:
            lens = axes.inset_axes((*place, *size))
            draw(lens)
            _scale(lens, region, size[0] * axes.get_window_extent().width / axes.figure.dpi)
            for artist in lens.findobj(lambda artist: artist.get_gid() is not None):
                artist.set_gid(f"lens/{artist.get_gid()}")
            marked = axes.indicate_inset(inset_ax=lens, edgecolor=MUTED, linewidth=0.6, alpha=1)
            for connector in marked.connectors or ():
                connector.set(color=_CONNECTOR, linewidth=0.6)
            return True
    return False


def _box(free: FreeSpace, bounds: tuple[float, float, float, float]) -> Box:
    """Left, bottom, width and height, as shares of the axes, on the page."""
    left, bottom, width, height = bounds
    page = free.page
    across, up = page.right - page.left, page.top - page.bottom
    left, bottom = page.left + left * across, page.bottom + bottom * up
    return Box(left, bottom, left + width * across, bottom + height * up)


def _place(free: FreeSpace, shown: Box, size: tuple[float, float]) -> tuple[float, float] | None:
    """Left and bottom, as shares of the axes, of room for a lens and its tick labels; the highest, then leftmost."""
    page = free.page
    width, height = page.right - page.left, page.top - page.bottom
    side, below = 3.4 * style.small(), 1.9 * style.small()  # of tick labels, in points
    for up in reversed(range(_STEPS)):
        for right in range(_STEPS):
            left = page.left + side + right / _STEPS * (width - side)
            bottom = page.bottom + below + up / _STEPS * (height - below)
            box = Box(left - side, bottom - below, left + size[0] * width, bottom + size[1] * height)
            if free.has(box) and not box.overlaps(shown):
                free.take(box)
                return (left - page.left) / width, (bottom - page.bottom) / height
    return None


def _scale(lens: "Axes", region: Region, width: float) -> None:
    from matplotlib.ticker import MaxNLocator

    part = SparsityAxis.across(width, region.sparsities)
    part.apply(lens)
    lens.set_xlabel("")
    lens.set_ylim(region.bottom, region.top)
    lens.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    lens.tick_params(labelsize=style.small(), length=2)
    lens.grid(axis="y")
    lens.patch.set(facecolor="white", alpha=1)
    frame: dict[str, Any] = {"visible": True, "color": INK, "linewidth": 0.6}
    lens.spines[:].set(**frame)
