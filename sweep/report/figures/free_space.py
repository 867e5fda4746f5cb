"""Where a figure has room: boxes that cover no mark, no line and no text of its axes."""

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


class FreeSpace:
    """What is taken of the axes. Make it last: it lays the figure out and needs the final axes."""

    def __init__(self, axes: "Axes", marks: Sequence[tuple[float, float]]):
        """``marks``: their positions, in the units of the axes. Lines and texts are found by themselves."""
        from matplotlib.collections import LineCollection

        figure = cast("Figure", axes.figure)
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
        self._axes = axes
        self._points = 72 / figure.dpi  # of one pixel
        self.page = self.box(axes.get_window_extent())
        strokes = [(line.get_transform(), line.get_xydata()) for line in axes.lines]
        for bars in axes.findobj(LineCollection):
            strokes += [(bars.get_transform(), segment) for segment in bars.get_segments()]
        lines = [place for transform, stroke in strokes for place in self._along(transform.transform(stroke))]
        self._taken = np.vstack([_around(self.places(marks), _MARK), _around(np.reshape(lines, (-1, 2)), _LINE)])
        for text in axes.texts:
            self.take(self.box(text.get_window_extent()))

    def has(self, box: Box) -> bool:
        """Whether the box lies inside the axes and covers nothing."""
        return self.page.contains(box) and not box.hits(self._taken)

    def take(self, box: Box) -> None:
        """Something stands here now."""
        self._taken = np.vstack([self._taken, astuple(box)])

    def places(self, marks: Sequence[tuple[float, float]]) -> np.ndarray:
        """Where marks are on the page, in points: one a row."""
        return self._points * np.asarray(self._axes.transData.transform(np.reshape(marks, (-1, 2))))

    def box(self, extent: Any) -> Box:
        """The box of an artist's extent in pixels."""
        return Box(*(float(value) * self._points for value in extent.extents))

    def _along(self, corners: np.ndarray) -> Iterator[tuple[float, float]]:
        """Places on a line, a few points apart; ``corners`` are in pixels."""
        for (x, y), (other_x, other_y) in pairwise((self._points * corners).tolist()):
            length = math.hypot(other_x - x, other_y - y)
            if math.isfinite(length):  # a line breaks at a NaN
                steps = math.ceil(length / _STEP)
                for step in range(steps + 1):
                    share = step / max(1, steps)
                    yield x + share * (other_x - x), y + share * (other_y - y)


def _around(places: np.ndarray, reach: float) -> np.ndarray:
    """A box around each place, one a row, as :meth:`Box.hits` takes them."""
    return np.hstack([places - reach, places + reach])
