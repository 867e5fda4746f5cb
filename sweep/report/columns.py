"""The columns of the report, each defined once: its name, its meaning and how it follows from a cell.

``summary.csv`` has the columns :data:`SUMMARY`; the tables of ``summary.md`` have :data:`START`, :data:`MOVED`,
:data:`END` and :data:`COST`. A new column is one entry in one of these lists; the files and
``docs/report-columns.md`` follow from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sweep.records import TrialRecord, numbers
from sweep.report.cells import Cell, accuracies
from sweep.report.names import architecture_name, data_name, measured_sparsity, method_name
from sweep.report.table import UNKNOWN
from sweep.report.trials import Panel
from sweep.statistics import mean

Text = Callable[[Cell], str]


@dataclass(frozen=True)
class Column:
    """One column of a file or a table, which has one row a cell.

    Attributes:
        name: its heading.
        meaning: for ``docs/report-columns.md``.
        value: of a cell of a panel: a plain value in ``summary.csv``, text in a table.
    """

    name: str
    meaning: str
    value: Callable[[Panel, Cell], Any]


def number(value: float | None) -> str:
    """Three digits, or the whole number with its thousands marked."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


# plain values, for summary.csv


def _of_panel(name: str, meaning: str, value: Callable[[Panel], Any]) -> Column:
    return Column(name, meaning, lambda panel, _: value(panel))


def _of_cell(name: str, meaning: str, value: Callable[[Cell], Any]) -> Column:
    return Column(name, meaning, lambda _, cell: value(cell))


def _average(name: str) -> Column:
    return _of_cell(name, f"Mean of the record's field `{name}` over all completed runs.", lambda c: c.average(name))


def _validation_mean(cell: Cell) -> float | None:
    return mean([t.validation_accuracy for t in cell.trained if t.validation_accuracy is not None])


def _seeds(cell: Cell) -> str:
    return " ".join(str(trial.seed) for trial in cell.completed)


def _ratio(cell: Cell, numerator: str, denominator: str) -> float | None:
    """One column's mean over another's; None where either is unknown or the denominator is 0."""
    above, below = cell.average(numerator), cell.average(denominator)
    return above / below if above is not None and below else None


def _macs_kept_fraction(cell: Cell) -> float | None:
    dense, kept = cell.average("macs_dense"), cell.average("macs_kept")
    return kept / dense if dense and kept is not None else None


def _collapse_rate(cell: Cell, part: str) -> float | None:
    return getattr(cell.collapse_rate, part) if cell.collapse_rate else None


_NOT_AVERAGED = {
    *("sparsity", "seed", "classes", "threads", "git_dirty"),  # axes of the grid, and no measurements
    *("test_accuracy", "validation_accuracy"),  # in `mean` and `validation_mean`, of the runs that trained
}
AVERAGED = [name for name in numbers(TrialRecord) if name not in _NOT_AVERAGED]

SUMMARY = (
    # what the row is
    _of_panel("data_name", "Data set, as figures name it.", lambda p: data_name(p.data, p.encoding, p.train)),
    _of_panel("architecture_name", "Network, as figures name it.", lambda p: architecture_name(p.architecture)),
    _of_cell("method_name", "Method and control, as figures name it.", lambda cell: method_name(cell.method_label)),
    _of_cell("sparsity", "Fraction of the prunable weights that is removed.", lambda cell: cell.sparsity),
    _of_panel("setting", "What tells this recipe from others of the same network and data.", lambda p: p.setting),
    # accuracy of the runs that trained
    _of_cell("mean", "Mean final-epoch test accuracy of the `n` runs.", lambda cell: cell.mean),
    _of_cell("low", "Lower end of its 95 % t-interval.", lambda cell: cell.interval and cell.interval.low),
    _of_cell("high", "Upper end.", lambda cell: cell.interval and cell.interval.high),
    _of_cell("std", "Sample standard deviation of the `n` runs.", lambda cell: cell.std),
    _of_cell("n", "Completed runs that trained: not at chance.", lambda cell: cell.n),
    Column("best", "Whether no method has a higher mean here.", lambda panel, cell: cell.key in panel.leading),
    # the other runs
    _of_cell("collapse_rate", "Share of completed runs that ended at chance.", lambda c: _collapse_rate(c, "estimate")),
    _of_cell("collapse_low", "Lower end of its 95 % Wilson interval.", lambda c: _collapse_rate(c, "low")),
    _of_cell("collapse_high", "Upper end.", lambda c: _collapse_rate(c, "high")),
    _of_cell("mean_all", "Mean test accuracy of all completed runs, those at chance too.", lambda cell: cell.mean_all),
    _of_cell("completed", "Completed runs.", lambda cell: len(cell.completed)),
    _of_cell("collapsed", "Completed runs that ended at chance.", lambda cell: len(cell.collapsed)),
    _of_cell("in_pieces", "Completed runs that split batches for lack of memory.", lambda cell: len(cell.in_pieces)),
    _of_cell("in_conflict", "Completed runs of which another result is kept, too.", lambda cell: len(cell.in_conflict)),
    _of_cell("failed", "Runs that ended in an error.", lambda cell: cell.failed),
    _of_cell("diverged", "Runs whose loss stopped being finite.", lambda cell: cell.diverged),
    _of_cell("interrupted", "Runs that were stopped and not finished yet.", lambda cell: cell.interrupted),
    Column(
        "missing",
        "Seeds that other cells have and this one has not, without those that its grid leaves out.",
        lambda panel, c: len(panel.missing(c)),
    ),
    _of_cell("seeds", "Seeds of the completed runs.", _seeds),
    Column("missing_seeds", "Seeds that are missing.", lambda panel, c: " ".join(map(str, panel.missing(c)))),
    _of_cell("collapsed_mean", "Mean test accuracy of the collapsed runs.", lambda c: mean(accuracies(c.collapsed))),
    _of_cell("validation_mean", "Mean validation accuracy of the runs that trained.", _validation_mean),
    # the same names as in a config
    _of_panel("data", "Data set, as configs name it.", lambda panel: panel.data),
    _of_panel("data_encoding", "`JPEG` where the images are a lossy copy, else `exact`.", lambda panel: panel.encoding),
    _of_panel("train", "Fraction of the training images that the trials see.", lambda p: p.train),
    _of_panel("architecture", "Network, as configs name it.", lambda panel: panel.trials[0].architecture),
    _of_panel("architecture_label", "The name and the options that are not defaults.", lambda p: p.architecture),
    _of_cell("method", "Method, as configs name it.", lambda cell: cell.method),
    _of_cell("method_label", "The name and the options that are not defaults.", lambda cell: cell.method_label),
    # masks, training and cost
    _of_cell("macs_kept_fraction", "Mean `macs_kept` over mean `macs_dense`.", _macs_kept_fraction),
    *map(_average, AVERAGED),
)
NOT_WORSE = "not_worse", "Whether it is bold in the table of accuracies: not worse than the best."  # after `best`


# texts, for the tables of summary.md


def _shown(name: str, meaning: str, text: Text) -> Column:
    return Column(name, meaning, lambda _, cell: text(cell))


def _mean(column: str) -> Text:
    return lambda cell: number(cell.average(column))


def _sparsity(column: str) -> Text:
    return lambda cell: UNKNOWN if (value := cell.average(column)) is None else measured_sparsity(value)


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:.3g}%"


def _multiple(value: float | None) -> str:
    return UNKNOWN if value is None else f"{number(value)}×"


def _share(numerator: str, denominator: str) -> Text:
    return lambda cell: _percent(_ratio(cell, numerator, denominator))


def _times(numerator: str, denominator: str) -> Text:
    return lambda cell: _multiple(_ratio(cell, numerator, denominator))


def _with(first: Text, second: Text) -> Text:
    """The first, and the second in brackets where it is known."""
    return lambda cell: first(cell) if (aside := second(cell)) == UNKNOWN else f"{first(cell)} ({aside})"


def _mebibytes(cell: Cell) -> str:
    value = cell.average("peak_memory_bytes")
    return UNKNOWN if value is None else number(value / 2**20)


def _count(column: str) -> Text:
    """``2 of 3``: runs of which it is true; ``0`` where there are none."""

    def text(cell: Cell) -> str:
        known = [value for trial in cell.completed if (value := getattr(trial, column)) is not None]
        if not known:
            return UNKNOWN
        return f"{sum(known)} of {len(known)}" if sum(known) else "0"

    return text


def _of_mask(prefix: str) -> tuple[Column, ...]:
    """What a mask leaves of the network, at the start (no prefix) or at the end ("final_")."""
    kept, nodes, paths = f"{prefix}macs_kept", f"{prefix}effective_nodes", f"{prefix}log_paths"
    macs = _with(_share(kept, "macs_dense"), _times("macs_dense", kept))
    return (
        _shown("effective", "Effective sparsity.", _sparsity(f"{prefix}effective_sparsity")),
        _shown("effective nodes", "Output channels that an effective weight leads into.", _mean(nodes)),
        _shown("log₁₀ paths", "Logarithm of the number of paths of kept weights.", _mean(paths)),
        _shown("MACs left (speed-up)", "MACs kept, in percent of the dense network's; dense over kept.", macs),
        _shown("empty layers", "Mean number of layers without a kept weight.", _mean(f"{prefix}empty_layers")),
        _shown("disconnected", "Runs without a path from input to output.", _count(f"{prefix}disconnected")),
    )


_COMPRESSION = _with(_sparsity("achieved_sparsity"), _times("prunable", "kept"))

START = (
    _shown("achieved (compression)", "Sparsity of the mask; prunable over kept weights.", _COMPRESSION),
    *_of_mask(""),
    _shown("gradient norm", "Σ c g² on the first pruning batches.", _mean("gradient_norm")),
    _shown("FORCE objective", "Σ c |θ g| on the first pruning batches.", _mean("force_objective")),
    _shown("revived", "Weights removed in one round and kept after a later one.", _mean("revived")),
)
START_CAPTION = (
    "As the (last) training starts; means over completed runs. Compression: weights over kept weights. Effective "
    "sparsity counts weights that are cut off from input or output as removed. Effective nodes are the output channels "
    "of layers that one of the other kept weights leads into; paths are ways from input to output through kept "
    "weights. MACs are multiply-accumulates for one image, in percent of the dense network's; the speed-up is "
    "theoretical: what hardware that skips every zero would gain. Disconnected: runs without any path from input to "
    "output. Gradient norm Σ c g² and FORCE objective Σ c |θ g| are on the first pruning batches."
)

MOVED = (  # before those of END, where masks moved during training: elsewhere they would repeat START
    _shown("sparsity at the end", "Sparsity of the mask.", _sparsity("final_sparsity")),
    *_of_mask("final_"),
)
END = (
    _shown("gradient norm", "Σ c g² on the first pruning batches.", _mean("final_gradient_norm")),
    _shown("FORCE objective", "Σ c |θ g| on the first pruning batches.", _mean("final_force_objective")),
    _shown("train accuracy", "Of the last epoch.", lambda cell: _percent(cell.average("train_accuracy"))),
    _shown("test loss", "After the last epoch.", _mean("test_loss")),
)
END_CAPTION = (
    "The tested network; means over completed runs. Gradient norm and FORCE objective are on the same batches, at the "
    "trained weights."
)
MOVED_CAPTION = END_CAPTION + " Some of these masks moved during training: this is where they ended."

COST = (
    _shown("prune s", "Seconds that pruning took.", _mean("prune_seconds")),
    _shown("pruning passes", "Forward and backward passes before training.", _mean("prune_passes")),
    _shown("passes in all", "Forward and backward passes of pruning and every training.", _mean("passes")),
    _shown(
        "training FLOPs",
        "Of all passes, as a multiple of training the dense network once.",
        lambda cell: _multiple(cell.average("training_flops_share")),
    ),
    _shown("of it pruning", "Share of these FLOPs that pruning took.", _share("prune_flops", "training_flops")),
    _shown("trained on", "MACs of the network that was trained, zeros included.", _share("trained_macs", "macs_dense")),
    _shown("epochs in all", "Epochs of every training.", _mean("epochs")),
    _shown("train s", "Seconds of every training.", _mean("train_seconds")),
    _shown("peak memory MiB", "Of the GPU, or of the process on a CPU.", _mebibytes),
)
COST_CAPTION = (
    "Means over completed runs. A pass is forward or backward over one batch. Training FLOPs are of all passes, "
    "pruning and every training included, as a multiple of training the dense network once; zeros are counted as free, "
    "a backward pass as two forward ones (Evci et al. 2020, appendix H)."
)
