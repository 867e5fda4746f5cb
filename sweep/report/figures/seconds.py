"""Final test accuracy against measured seconds, of pruning and of every training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweep.records import TrialRecord
from sweep.report.figures.cost_parts import Cost, accuracy_against
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _seconds(trial: TrialRecord) -> float | None:
    """Of pruning and training; without starting, reading data and the test."""
    return None if trial.train_seconds is None else trial.train_seconds + (trial.prune_seconds or 0.0)


SECONDS = Cost(_seconds, axis="Seconds of pruning and training, as measured (log)", tick=lambda s: f"{s:.10g} s")


def seconds_figure(panel: Panel, options: ReportOptions = DEFAULT) -> "Figure | None":
    """Accuracy against the seconds that pruning and training took; None where runs were on several kinds of device."""
    devices = {trial.device for cell in panel.cells for trial in cell.completed if trial.device}
    return accuracy_against(SECONDS, panel, options) if len(devices) <= 1 else None


def _draw(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    figure = seconds_figure(panel, options)
    return [] if figure is None else [Drawing(figure)]


FIGURE = ReportFigure(
    "seconds",
    _draw,
    shows="Accuracy against measured seconds",
    section="Cost",
    note=(
        "Seconds of pruning and training as they were measured. Trials that shared a machine slow each other: compare "
        "seconds only where all trials ran under the same load. Panels of several kinds of device have no such figure."
    ),
)
