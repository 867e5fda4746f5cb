"""Final test accuracy against its cost in floating-point operations, pruning and every training included."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweep.report.figures.cost_parts import Cost, accuracy_against
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOPS = Cost(
    lambda trial: trial.training_flops_share,
    axis="Training FLOPs, pruning included (training the dense network: 1×; log)",
    tick=lambda share: f"{share:.10g}×",
    dense=1.0,
)


def cost_figure(panel: Panel, options: ReportOptions = DEFAULT) -> "Figure | None":
    """Accuracy against training FLOPs as a multiple of training the dense network once."""
    return accuracy_against(FLOPS, panel, options)


def _draw(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    figure = cost_figure(panel, options)
    return [] if figure is None else [Drawing(figure)]


FIGURE = ReportFigure("cost", _draw, shows="Accuracy against training FLOPs", section="Cost")
