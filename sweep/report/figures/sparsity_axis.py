"""The x axis of accuracy against sparsity: density on a log scale, which separates 90 %, 98 %, 99 % and 99.5 %."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.report.figures import style
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class SparsityAxis:
    """Positions on the x axis. They are densities; sparsity rises to the right.

    Attributes:
        sparsities: the grid's, rising.
        character: about the width of a character of its tick labels, as a share of the axis.
    """

    sparsities: tuple[float, ...]
    character: float = 0.012

    @classmethod
    def across(cls, width: float, sparsities: tuple[float, ...]) -> "SparsityAxis":
        """The axis of axes about so many inches wide, with as many tick labels as fit the size of its type."""
        return cls(sparsities, character=0.64 * style.tick_size() / (72 * 0.84 * width))

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
        character = self.character * math.log10(left / right)
        kept: list[float] = []
        for sparsity in reversed(self.sparsities):
            if kept:
                characters = (len(percent(sparsity)) + len(percent(kept[-1]))) / 2 + 0.6
            if not kept or math.log10((1 - sparsity) / (1 - kept[-1])) > character * characters:
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
