"""Labels beside the points of a figure, only where they cover nothing."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARK, _LINE = 3.5, 0.8  # half the width of a mark and of a line, in points
_STEP = 3.0  # points between two boxes that cover a line
_SIDES = (  # positions of a label: offset in points, alignment
    ((0.0, 5.5), "center", "bottom"),
    ((0.0, -5.5), "center", "top"),
    ((6.0, 0.0), "left", "center"),
    ((-6.0, 0.0), "right", "center"),
)


@dataclass(frozen=True)
class Box:
    """A rectangle on the page, in points."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the two have an area in common."""
        return self.hits(np.array([astuple(other)]))

    def hits(self, others: np.ndarray) -> bool:
        """Whether it overlaps one of many boxes, one a row: left, bottom, right, top."""
        left, bottom, right, top = others.T
        return bool(np.any((self.left < right) & (left < self.right) & (self.bottom < top) & (bottom < self.top)))

    def contains(self, other: "Box") -> bool:
        """Whether the other lies inside."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.bottom <= other.bottom
            and other.top <= self.top
        )


def _around(places: np.ndarray, reach: float) -> np.ndarray:
    """A box around each place, one a row, as :meth:`Box.hits` takes them."""
    return np.hstack([places - reach, places + reach])


class LabelPlacement:
    """Places labels where no mark, line or earlier label is. Make it last: it needs the final axes."""

    def __init__(self, axes: "Axes", marks: Sequence[tuple[float, float]]):
        """``marks``: their positions, in the units of the axes."""
        from matplotlib.collections import LineCollection

        figure = cast("Figure", axes.figure)
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
        self._axes = axes
        self._points = 72 / figure.dpi  # of one pixel
        self._page = self._box(axes.get_window_extent())
        strokes = [(line.get_transform(), line.get_xydata()) for line in axes.lines]
        for bars in axes.findobj(LineCollection):
            strokes += [(bars.get_transform(), segment) for segment in bars.get_segments()]
        lines = [place for transform, stroke in strokes for place in self._along(transform.transform(stroke))]
        self._taken = np.vstack([_around(self._places(marks), _MARK), _around(np.reshape(lines, (-1, 2)), _LINE)])
        if (legend := axes.get_legend()) is not None:
            self._take(self._box(legend.get_window_extent()))

    def write(self, text: str, mark: tuple[float, float], fontsize: float, **look: Any) -> bool:
        """Write beside a mark, on the first side where the text fits. Returns whether there is one."""
        ((x, y),) = self._places([mark]).tolist()
        width, height = 0.66 * fontsize * len(text), fontsize
        for (right, up), horizontal, vertical in _SIDES:
            left = x + right - {"center": width / 2, "left": 0, "right": width}[horizontal]
            bottom = y + up - {"bottom": 0, "top": height, "center": height / 2}[vertical]
            box = Box(left, bottom, left + width, bottom + height)
            if self._page.contains(box) and not box.hits(self._taken):
                self._take(box)
                offset: dict[str, Any] = {"xytext": (right, up), "textcoords": "offset points"}
                note = self._axes.annotate(text, mark, ha=horizontal, va=vertical, fontsize=fontsize, **offset)
                note.set(in_layout=False, **look)
                return True
        return False

    def _take(self, box: Box) -> None:
        self._taken = np.vstack([self._taken, astuple(box)])

    def _along(self, corners: np.ndarray) -> Iterator[tuple[float, float]]:
        """Places on a line, a few points apart; ``corners`` are in pixels."""
        for (x, y), (other_x, other_y) in pairwise((self._points * corners).tolist()):
            length = math.hypot(other_x - x, other_y - y)
            if math.isfinite(length):  # a line breaks at a NaN
                steps = math.ceil(length / _STEP)
                for step in range(steps + 1):
                    share = step / max(1, steps)
                    yield x + share * (other_x - x), y + share * (other_y - y)

    def _places(self, marks: Sequence[tuple[float, float]]) -> np.ndarray:
        """Where marks are on the page, in points: one a row."""
        return self._points * np.asarray(self._axes.transData.transform(np.reshape(marks, (-1, 2))))

    def _box(self, extent: Any) -> Box:
        return Box(*(float(value) * self._points for value in extent.extents))
