"""Published accuracies in our figure: hollow markers in the method's colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.report.cells import Cell, sparsities
from sweep.report.figures import style
from sweep.report.figures.palette import MUTED, colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


@dataclass(frozen=True)
class PublishedPoint:
    """One published accuracy, in per cent, of the method of this label."""

    label: str
    sparsity: float
    value: float
    std: float | None = None

    @property
    def method(self) -> str:
        """The name, without options."""
        return self.label.split(" ")[0]

    @property
    def error_bar(self) -> tuple[float, float]:
        """Where its error bar begins and ends, in per cent."""
        return self.value - (self.std or 0), self.value + (self.std or 0)


def all_sparsities(cells: Sequence[Cell], points: Sequence[PublishedPoint]) -> tuple[float, ...]:
    """All sparsities of the axis: ours and the published ones."""
    published = {point.sparsity for point in points if point.method != "dense"}
    return tuple(sorted(published.union(sparsities(cells))))


def draw_points(axes: "Axes", points: Sequence[PublishedPoint]) -> None:
    """Each method's points at their sparsity; those of dense networks at the left edge."""
    for label in dict.fromkeys(point.label for point in points):
        of_method = [point for point in points if point.label == label]
        dense = of_method[0].method == "dense"
        x = [0.04 + 0.006 * i for i in range(len(of_method))] if dense else [1 - point.sparsity for point in of_method]
        bars = axes.errorbar(
            x,
            [point.value for point in of_method],
            yerr=[point.std or 0 for point in of_method],
            linestyle="none",
            transform=axes.get_yaxis_transform() if dense else axes.transData,
            zorder=5,
            elinewidth=1.0,
            capsize=2.5,
            **_hollow(of_method[0].method),
        )
        bars.lines[0].set_gid(f"published/{label}")


def legend_entry(points: Sequence[PublishedPoint]) -> "list[Line2D]":
    """The legend entry of the hollow markers; nothing where there are none."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], linestyle="none", label="published", **_hollow(""))] if points else []


def _hollow(method: str) -> dict[str, Any]:
    hue, shape = (colour(method), marker(method)) if method else (MUTED, "o")
    return {
        "color": hue,
        "marker": shape,
        "markersize": style.thick(9),
        "markerfacecolor": "none",
        "markeredgewidth": 1.1,
    }
