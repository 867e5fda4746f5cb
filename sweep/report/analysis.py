"""The statistics of a report: comparisons and thresholds of each panel, and methods over all panels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sweep.report.aggregates import Aggregate, aggregate
from sweep.report.comparison import EQUIVALENCE
from sweep.report.comparisons import Comparisons
from sweep.report.thresholds import Thresholds, thresholds
from sweep.report.trials import Panel


class PanelAnalysis:
    """One panel with its statistics, each computed once."""

    def __init__(self, panel: Panel, margin: float = EQUIVALENCE):
        """``margin``: within which two methods are equivalent, as a fraction."""
        self.panel = panel
        self.comparisons = Comparisons(panel, margin)

    @cached_property
    def thresholds(self) -> tuple[Thresholds, ...]:
        """How far each method can be pruned."""
        return thresholds(self.panel)


@dataclass(frozen=True)
class Analysis:
    """All panels of a report, and methods over all of them (None: fewer than two methods or cells)."""

    panels: tuple[PanelAnalysis, ...]
    aggregate: Aggregate | None


def analyse(panels: Sequence[Panel], margin: float = EQUIVALENCE) -> Analysis:
    """The statistics of these panels.

    Args:
        panels: of one report.
        margin: within which two methods are equivalent, as a fraction.
    """
    return Analysis(tuple(PanelAnalysis(panel, margin) for panel in panels), aggregate(panels))
