"""The legend of a figure with one plot: inside the axes where it covers nothing, else in rows above them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sweep.report.figures import style
from sweep.report.figures.free_space import FreeSpace

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

_CORNERS = ("lower left", "upper right", "upper left", "lower right", "center left")
_MOST_INSIDE = 12  # entries
_GAP = 4.0  # points around a legend


class Entry(NamedTuple):
    """One line of a legend."""

    handle: "Artist"
    name: str


def place_legend(axes: "Axes", entries: Sequence[Entry], free: FreeSpace) -> float:
    """Draw the legend. Returns the points that it takes above the axes: 0 where it stands inside.

    Args:
        axes: where to draw.
        entries: in order.
        free: the room of the axes; the legend takes its part.
    """
    look: dict[str, Any] = {
        "framealpha": 0.9,
        "edgecolor": "none",
        "borderpad": 0.2,
        "labelspacing": 0.35,
        "handlelength": 3.8,  # to tell dashes apart
        "handletextpad": 0.6,
        "columnspacing": 1.2,
    }
    for corner in _CORNERS if len(entries) <= _MOST_INSIDE else ():
        legend = _legend(axes, entries, look | {"loc": corner, "borderaxespad": 0.6})
        box = free.box(legend.get_window_extent())
        if free.has(box):
            free.take(box)
            return 0.0
        legend.remove()
    return _above(axes, entries, free, look)


def _above(axes: "Axes", entries: Sequence[Entry], free: FreeSpace, look: dict[str, Any]) -> float:
    """In as many columns as fit between the left edge of the axes and the right edge of the figure."""
    figure = cast("Figure", axes.figure)
    room = 72 * figure.get_figwidth() - free.page.left - _GAP
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": _GAP / style.small()}
    for columns in range(min(6, len(entries)), 0, -1):
        legend = _legend(axes, entries, look | place | {"ncols": columns})
        box = free.box(legend.get_window_extent())
        if box.right - box.left <= room or columns == 1:
            legend.set_in_layout(False)  # the title above it holds its room
            return box.top - box.bottom + _GAP
        legend.remove()
    return 0.0


def _legend(axes: "Axes", entries: Sequence[Entry], look: dict[str, Any]) -> "Legend":
    return axes.legend([entry.handle for entry in entries], [entry.name for entry in entries], **look)


def reserve(axes: "Axes", height: float) -> None:
    """Keep so many points above the axes free of anything else, where no title does."""
    note = axes.annotate(" ", (0, 1), xycoords="axes fraction", xytext=(0, height), textcoords="offset points")
    note.set(fontsize=1, gid="room")


def rows(entries: int, width: float) -> int:
    """About how many rows a legend above axes of a figure this wide has."""
    return -(-entries // max(1, int(width // (1.1 if width < 5 else 1.4))))
