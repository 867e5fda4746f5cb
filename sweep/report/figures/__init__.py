"""The figures of a report. A new figure is one module with a :class:`ReportFigure`, and its line in FIGURES."""

from sweep.report.figures import accuracy, cost, curves, forest, layers, overlap, rounds, sanity, seconds
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored, WrittenFigure

FIGURES: tuple[ReportFigure, ...] = (
    accuracy.FIGURE,
    forest.FIGURE,
    cost.FIGURE,
    seconds.FIGURE,
    sanity.FIGURE,
    layers.FIGURE,
    overlap.FIGURE,
    curves.FIGURE,
    rounds.FIGURE,
)

__all__ = ["FIGURES", "Drawing", "ReportFigure", "Stored", "WrittenFigure"]
