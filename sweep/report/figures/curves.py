"""Learning curves: accuracy after each epoch, method by method, at one sparsity."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sweep.report.cells import Cell, at, labels
from sweep.report.figures import style
from sweep.report.figures.accuracy_parts import distinguishable
from sweep.report.figures.free_space import FreeSpace
from sweep.report.figures.legend import Entry, place_legend, reserve
from sweep.report.figures.palette import looks
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.figures.stored_masks import highest_first
from sweep.report.names import figure_name
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel, among
from sweep.statistics import mean
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKED = 10  # about so many epochs of a line have a marker
ByEpoch = list[tuple[int, float]]


def curves_figure(panel: Panel, epochs: pa.Table, sparsity: float, options: ReportOptions = DEFAULT) -> "Figure | None":
    """Mean accuracy after each epoch over the completed runs, in percent; None where no run has epochs.

    It is that of the held-out training images; where a sweep holds none out, that of the training images.

    Args:
        panel: of the methods.
        epochs: the stored epochs of its trials.
        sparsity: of the methods; the dense network is drawn too.
        options: how to draw.
    """
    cells = distinguishable([c for c in [*_dense(panel), *at(panel.cells, sparsity)] if c.completed])
    rows = among(epochs, [trial.trial_id for cell in cells for trial in cell.completed])
    field = "validation_accuracy" if rows["validation_accuracy"].null_count < rows.num_rows else "train_accuracy"
    lines = by_label(cells, rows, field)
    if not any(label in lines for label in labels(cells)):
        return None
    with style.styled(options):
        width = style.width(options)
        figure = style.new_figure((width, 0.5 * width + 0.6))
        axes = figure.add_subplot()
        entries = []
        for label, look in looks(lines).items():
            points = [(epoch, 100 * accuracy) for epoch, accuracy in lines[label]]
            line: dict[str, Any] = {"linewidth": style.thick(1.6), **look.line, **style.mean_mark(look, 4.5)}
            every = -(-len(points) // _MARKED)
            (artist,) = axes.plot(*style.xy(points), gid=f"curve/{label}", markevery=every, **line)
            entries.append(Entry(artist, figure_name(label)))
        axes.set_xlabel("Epoch")
        axes.set_ylabel(style.wrapped(_AXIS[field], 0.5 * width + 0.4))
        axes.grid(axis="y")
        style.draw_title(figure, f"{panel.title}: learning at {percent(sparsity)} sparsity", options)
        above = place_legend(axes, entries, FreeSpace(axes, []))
        if above:
            reserve(axes, above)
            figure.set_figheight(figure.get_figheight() + above / 72)
    return figure


_AXIS = {"validation_accuracy": "Validation accuracy (%)", "train_accuracy": "Training accuracy (%)"}


def by_label(cells: Sequence[Cell], epochs: pa.Table, field: str) -> dict[str, ByEpoch]:
    """Label -> (epoch, mean of the field over the completed runs that have it), epochs rising."""
    labels_of = {trial.trial_id: cell.method_label for cell in cells for trial in cell.completed}
    values = {cell.method_label: defaultdict[int, list[float]](list) for cell in cells}
    for trial, epoch, value in zip(*(epochs[name].to_pylist() for name in ("trial_id", "epoch", field)), strict=True):
        if value is not None:
            values[labels_of[trial]][epoch].append(value)
    return {
        label: [(epoch, mean(found[epoch]) or 0.0) for epoch in sorted(found)]
        for label, found in values.items()
        if found
    }


def chosen(panel: Panel, sparsity: float) -> list[str]:
    """The ids of the trials that a figure draws."""
    cells = [*_dense(panel), *at(panel.cells, sparsity)]
    return [trial.trial_id for cell in cells for trial in cell.completed]


def _dense(panel: Panel) -> list[Cell]:
    return [cell for cell in panel.cells if cell.method == "dense"]


def _drawings(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    """At the sparsities that are asked for, by default the highest."""
    drawn = []
    for sparsity in options.sparsities(highest_first(panel)):
        if (figure := curves_figure(panel, stored.epochs.at(panel, sparsity), sparsity, options)) is not None:
            drawn.append(Drawing.at(sparsity, figure))
    return drawn


FIGURE = ReportFigure(
    "curves",
    _drawings,
    shows="Learning curves",
    section="Training",
    note="Mean accuracy after each epoch over completed runs, those at chance too.",
)
