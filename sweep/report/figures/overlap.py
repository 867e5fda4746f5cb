"""How alike masks are: the Jaccard index between methods, and between seeds of one method, at one sparsity."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import pyarrow as pa

from sweep.report.cells import Cell, at
from sweep.report.figures import style
from sweep.report.figures.palette import MUTED
from sweep.report.figures.report_figure import Drawing, ReportFigure, Stored
from sweep.report.figures.stored_masks import highest_first
from sweep.report.names import figure_name
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.trials import Panel, among
from sweep.statistics import mean
from sweep.store import Store
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pruning.masks import Masks

_MOST_METHODS, _MOST_SEEDS = 16, 3  # of which masks are read
_MOST_WEIGHTS = 100_000_000  # of all masks of a figure: more would take half a minute


def overlaps(cells: Sequence[Cell], masks: "Mapping[str, Masks]") -> list[list[float | None]]:
    """Mean Jaccard index of each two cells, over the seeds that both have; on the diagonal over pairs of seeds.

    Args:
        cells: of one sparsity.
        masks: by trial id.
    """
    by_seed = [{t.seed: masks[t.trial_id] for t in cell.completed if t.trial_id in masks} for cell in cells]
    table: list[list[float | None]] = [[None] * len(cells) for _ in cells]
    for row, ours in enumerate(by_seed):
        table[row][row] = _mean([(ours[one], ours[other]) for one, other in combinations(sorted(ours), 2)])
        for column, theirs in enumerate(by_seed[:row]):
            shared = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
            table[row][column] = table[column][row] = _mean(shared)
    return table


def overlap_figure(
    panel: Panel, masks: "Mapping[str, Masks]", sparsity: float, options: ReportOptions = DEFAULT
) -> "Figure | None":
    """A square a pair of methods, written and shaded; None where masks of fewer than two methods are stored.

    Artists carry a ``gid``: ``overlap``.
    """
    cells = drawn_cells(panel, sparsity)
    cells = [cell for cell in cells if any(trial.trial_id in masks for trial in cell.completed)]
    if len(cells) < 2:
        return None
    table = overlaps(cells, masks)
    names = [figure_name(cell.method_label) for cell in cells]
    with style.styled(options):
        width = style.width(options)
        side = width if options.width_inches is not None else min(width, 2.2 + 0.48 * len(cells))
        figure = style.new_figure((side, 0.86 * side + 0.5))
        axes = figure.add_subplot()
        shown = [[float("nan") if value is None else value for value in row] for row in table]
        axes.imshow(shown, cmap="Blues", vmin=0, vmax=1.35, aspect="equal").set_gid("overlap")
        for row, values in enumerate(table):
            for column, value in enumerate(values):
                text = "–" if value is None else f"{value:.2f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=style.small())
        axes.set_xticks(range(len(cells)), names, rotation=90)
        axes.set_yticks(range(len(cells)), names)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        style.draw_title(figure, f"{panel.title}: overlap of masks at {percent(sparsity)}", options)
        note = "Weights both keep over those that either keeps: mean over seeds; on the diagonal between seeds"
        figure.supxlabel(style.wrapped(note, side), x=0.01, ha="left", fontsize=style.small(), color=MUTED)
    return figure


def drawn_cells(panel: Panel, sparsity: float) -> list[Cell]:
    """The methods of a figure: without controls, and the first of many."""
    return [cell for cell in at(panel.cells, sparsity) if not cell.control and cell.completed][:_MOST_METHODS]


def _mean(pairs: "Sequence[tuple[Masks, Masks]]") -> float | None:
    from pruning.overlap import overlap  # imports torch, which importing a report does without

    values = [overlap(one, other)[-1].jaccard for one, other in pairs]
    return mean([value for value in values if value is not None])


def chosen(panel: Panel, sparsity: float) -> list[str]:
    """The ids of the trials whose masks are compared: none of a network so large that it would take long."""
    cells = drawn_cells(panel, sparsity)
    trials = [
        trial
        for cell in (cells if len(cells) > 1 else ())
        for trial in sorted(cell.completed, key=lambda trial: trial.seed)[:_MOST_SEEDS]
    ]
    weights = sum(trial.prunable or 0 for trial in trials)
    return [trial.trial_id for trial in trials] if weights <= _MOST_WEIGHTS else []


def read_bits(store: Store, ids: list[str]) -> pa.Table:
    """The masks of some trials, with their bits."""
    return store.masks(ids, ["trial_id", "tensor", "encoding", "packed", "shape"])


def unpacked(rows: pa.Table, ids: Sequence[str]) -> "dict[str, Masks]":
    """Trial id -> its masks, of stored rows; without trials whose bits are damaged, which ``sweep verify`` names."""
    from pruning.packing import unpack

    found: dict[str, Masks] = {}
    damaged = set()
    for row in among(rows, ids).to_pylist():
        try:
            found.setdefault(row["trial_id"], {})[row["tensor"]] = unpack(row["encoding"], row["packed"], row["shape"])
        except ValueError:
            damaged.add(row["trial_id"])
    return {trial_id: masks for trial_id, masks in found.items() if trial_id not in damaged}


def _drawings(panel: Panel, stored: Stored, options: ReportOptions) -> Sequence[Drawing]:
    """At the sparsities that are asked for, by default the highest."""
    drawn = []
    for sparsity in options.sparsities(highest_first(panel)):
        ids = chosen(panel, sparsity)
        masks = unpacked(stored.bits.at(panel, sparsity), ids) if ids else {}
        if (figure := overlap_figure(panel, masks, sparsity, options)) is not None:
            drawn.append(Drawing.at(sparsity, figure))
    return drawn


FIGURE = ReportFigure(
    "overlap",
    _drawings,
    shows="Overlap of masks",
    section="Masks",
    note=f"Of at most {_MOST_METHODS} methods, {_MOST_SEEDS} seeds of each and {_MOST_WEIGHTS:,} weights in all.",
)
