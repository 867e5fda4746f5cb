"""Labels beside the points of a figure, only where they cover nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.report.figures.free_space import Box, FreeSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDES = (  # positions of a label: offset in points, alignment
    ((0.0, 5.5), "center", "bottom"),
    ((0.0, -5.5), "center", "top"),
    ((6.0, 0.0), "left", "center"),
    ((-6.0, 0.0), "right", "center"),
)


class LabelPlacement:
    """Places labels where no mark, line, text or earlier label is. Make it last: it needs the final axes."""

    def __init__(self, axes: "Axes", marks: Sequence[tuple[float, float]]):
        """``marks``: their positions, in the units of the axes."""
        self._axes = axes
        self._free = FreeSpace(axes, marks)
        if (legend := axes.get_legend()) is not None:
            self._free.take(self._free.box(legend.get_window_extent()))

    def write(self, text: str, mark: tuple[float, float], fontsize: float, **look: Any) -> bool:
        """Write beside a mark, on the first side where the text fits. Returns whether there is one."""
        ((x, y),) = self._free.places([mark]).tolist()
        width, height = 0.66 * fontsize * len(text), fontsize
        for (right, up), horizontal, vertical in _SIDES:
            left = x + right - {"center": width / 2, "left": 0, "right": width}[horizontal]
            bottom = y + up - {"bottom": 0, "top": height, "center": height / 2}[vertical]
            box = Box(left, bottom, left + width, bottom + height)
            if self._free.has(box):
                self._free.take(box)
                offset: dict[str, Any] = {"xytext": (right, up), "textcoords": "offset points"}
                note = self._axes.annotate(text, mark, ha=horizontal, va=vertical, fontsize=fontsize, **offset)
                note.set(in_layout=False, **look)
                return True
        return False
