"""The x axis of Figure 1: density on a log scale, so that 90 %, 98 %, 99 % and 99.5 % stand apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPREAD = 0.3  # share of the narrowest gap between two sparsities over which methods are set side by side
_WIDEST = 0.05  # but over no more than this share of the axis


@dataclass(frozen=True)
class SparsityAxis:
    """Where things go from left to right. Positions are densities; sparsity rises to the right.

    Attributes:
        sparsities: the grid's, rising.
        methods: how many are drawn.
        room: least distance of two tick labels, as a share of the axis.
    """

    sparsities: tuple[float, ...]
    methods: int
    room: float = 0.045

    def offset(self, place: int) -> float:
        """What to multiply the densities of the method in this place by: so no two hide each other."""
        if self.methods < 2:
            return 1.0
        decades = [math.log10(1 - sparsity) for sparsity in self.sparsities]
        left, right = self.limits
        widest = _WIDEST * math.log10(left / right)
        spread = min([widest, *(_SPREAD * (a - b) for a, b in pairwise(decades))])
        return float(10 ** (spread * (0.5 - place / (self.methods - 1))))

    @property
    def limits(self) -> tuple[float, float]:
        """Densities at the left and the right edge."""
        if not self.sparsities:
            return 1.2, 0.8
        low, high = 1 - self.sparsities[-1], 1 - self.sparsities[0]
        margin = max(0.09 * math.log10(high / low), 0.15)  # decades
        return float(high * 10 ** (1.15 * margin)), float(low / 10**margin)

    def labelled(self) -> list[float]:
        """The sparsities with room for a tick label, from the right."""
        left, right = self.limits
        room = self.room * math.log10(left / right)
        kept: list[float] = []
        for sparsity in reversed(self.sparsities):
            if not kept or math.log10((1 - sparsity) / (1 - kept[-1])) > room:
                kept.append(sparsity)
        return kept

    def apply(self, axes: "Axes") -> None:
        """Scale, limits and ticks: one tick a sparsity of the grid."""
        from matplotlib.ticker import NullLocator

        labelled = self.labelled()
        axes.set_xscale("log")
        axes.set_xlim(*self.limits)
        names = [percent(sparsity) if sparsity in labelled else "" for sparsity in self.sparsities]
        axes.set_xticks(densities(self.sparsities), names)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("Sparsity: weights removed (log axis of density)")


def densities(sparsities: Sequence[float]) -> list[float]:
    """Fractions kept."""
    return [1 - sparsity for sparsity in sparsities]
