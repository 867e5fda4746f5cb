"""The x axis of accuracy against sparsity: density on a log scale, which separates 90 %, 98 %, 99 % and 99.5 %."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPREAD = 0.3  # methods are set side by side over this share of the narrowest gap between two sparsities …
_WIDEST = 0.05  # … and over at most this share of the axis


@dataclass(frozen=True)
class SparsityAxis:
    """Positions on the x axis. They are densities; sparsity rises to the right.

    Attributes:
        sparsities: the grid's, rising.
        methods: how many are drawn.
        label_distance: least distance of two tick labels, as a share of the axis.
    """

    sparsities: tuple[float, ...]
    methods: int
    label_distance: float = 0.045

    def offset(self, index: int) -> float:
        """Factor for the densities of the method with this index: no two methods hide each other."""
        if self.methods < 2:
            return 1.0
        decades = [math.log10(1 - sparsity) for sparsity in self.sparsities]
        left, right = self.limits
        widest = _WIDEST * math.log10(left / right)
        spread = min([widest, *(_SPREAD * (a - b) for a, b in pairwise(decades))])
        return float(10 ** (spread * (0.5 - index / (self.methods - 1))))

    @property
    def limits(self) -> tuple[float, float]:
        """Densities at the left and the right edge."""
        if not self.sparsities:
            return 1.2, 0.8
        low, high = 1 - self.sparsities[-1], 1 - self.sparsities[0]
        margin = max(0.09 * math.log10(high / low), 0.15)  # decades
        return float(high * 10 ** (1.15 * margin)), float(low / 10**margin)

    def labelled(self) -> list[float]:
        """The sparsities that get a tick label, from the right: as many as fit."""
        left, right = self.limits
        distance = self.label_distance * math.log10(left / right)
        kept: list[float] = []
        for sparsity in reversed(self.sparsities):
            if not kept or math.log10((1 - sparsity) / (1 - kept[-1])) > distance:
                kept.append(sparsity)
        return kept

    def apply(self, axes: "Axes") -> None:
        """Set scale, limits and ticks: one tick for every sparsity."""
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
