"""What others published, over our accuracies: hollow markers in the method's colour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.report.figures import style
from sweep.report.statistics import Cell, sparsities

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


@dataclass(frozen=True)
class Point:
    """One published accuracy, in per cent, of the method of this label."""

    label: str
    sparsity: float
    value: float
    std: float | None = None

    @property
    def method(self) -> str:
        """The name alone."""
        return self.label.split(" ")[0]

    @property
    def reach(self) -> tuple[float, float]:
        """Where its error bar begins and ends."""
        return self.value - (self.std or 0), self.value + (self.std or 0)


def all_sparsities(found: Sequence[Cell], points: Sequence[Point]) -> tuple[float, ...]:
    """The places of the axis: ours, and theirs that we have not run."""
    theirs = {point.sparsity for point in points if point.method != "dense"}
    return tuple(sorted(theirs.union(sparsities(found))))


def draw_points(axes: "Axes", points: Sequence[Point], offsets: Mapping[str, float]) -> None:
    """Each method's points at its place beside the others; those of dense networks at the left edge."""
    for label in dict.fromkeys(point.label for point in points):
        its = [point for point in points if point.label == label]
        dense = its[0].method == "dense"
        at = [0.04 + 0.006 * i for i in range(len(its))] if dense else [_x(point, offsets) for point in its]
        bars = axes.errorbar(
            at,
            [point.value for point in its],
            yerr=[point.std or 0 for point in its],
            linestyle="none",
            transform=axes.get_yaxis_transform() if dense else axes.transData,
            zorder=5,
            elinewidth=1.0,
            capsize=2.5,
            **_hollow(its[0].method),
        )
        bars.lines[0].set_gid(f"published/{label}")


def legend_entry(points: Sequence[Point]) -> "list[Line2D]":
    """What a hollow marker is; nothing where there is none."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], linestyle="none", label="published", **_hollow(""))] if points else []


def _x(point: Point, offsets: Mapping[str, float]) -> float:
    return (1 - point.sparsity) * offsets.get(point.label, 1.0)


def _hollow(method: str) -> dict[str, Any]:
    colour, marker = (style.colour(method), style.marker(method)) if method else (style.MUTED, "o")
    return {"color": colour, "marker": marker, "markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.1}
