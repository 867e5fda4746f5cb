"""What masks are and cost, for people: the mask at the start, the network at the end, the price."""

from collections.abc import Callable, Mapping

from sweep.records import TrialRecord
from sweep.report.names import measured_sparsity, method_name
from sweep.report.statistics import Cell
from sweep.report.tables import Entry, Table
from sweep.report.trials import Panel
from sweep.text import percent

Column = Callable[[Cell], str]  # what a cell of the sweep has in a column
Columns = Mapping[str, Column]  # by heading
NOTHING = "–"

START_CAPTION = (
    "As the (last) training starts; means over completed runs. Compression: weights over kept weights. Effective "
    "sparsity counts weights that are cut off from input or output as removed. MACs are multiply-accumulates for one "
    "image, in percent of the dense network's; the speed-up is theoretical: what hardware that skips every zero would "
    "gain. Disconnected: runs without any path from input to output. Gradient norm Σ c g² and FORCE objective "
    "Σ c |θ g| are on the first pruning batches."
)
END_CAPTION = (
    "The tested network; means over completed runs. Gradient norm and FORCE objective are on the same batches, at the "
    "trained weights."
)
MOVED_CAPTION = END_CAPTION + " Some of these masks moved during training: this is where they ended."
PRICE_CAPTION = (
    "Means over completed runs. A pass is forward or backward over one batch. Training FLOPs are of all passes, "
    "pruning and every training included, as a multiple of training the dense network once; zeros are counted as free, "
    "a backward pass as two forward ones (Evci et al. 2020, appendix H)."
)


def start_table(panel: Panel) -> Table:
    """One row a method and sparsity: the mask that the (last) training starts from."""
    return _table(panel, {
        "achieved (compression)": _and(_sparsity("achieved_sparsity"), _times("prunable", "kept")),
        **_of_mask(""),
        "gradient norm": _mean("gradient_norm"),
        "FORCE objective": _mean("force_objective"),
        "revived": _mean("revived"),
    })  # fmt: skip


def end_table(panel: Panel) -> Table:
    """The same of the tested network, and how it fits; what a mask is only where masks moved."""
    mask = {"sparsity at the end": _sparsity("final_sparsity"), **_of_mask("final_")}
    return _table(panel, {
        **(mask if moved(panel) else {}),
        "gradient norm": _mean("final_gradient_norm"),
        "FORCE objective": _mean("final_force_objective"),
        "train accuracy": lambda cell: _percent(cell.average("train_accuracy")),
        "test loss": _mean("test_loss"),
    })  # fmt: skip


def price_table(panel: Panel) -> Table:
    """One row a method and sparsity: what the mask and the training cost."""
    return _table(panel, {
        "prune s": _mean("prune_seconds"),
        "pruning passes": _mean("prune_passes"),
        "passes in all": _mean("passes"),
        "training FLOPs": lambda cell: _multiple(cell.average("training_flops_share")),
        "of it pruning": _share("prune_flops", "training_flops"),
        "trained on": _share("trained_macs", "macs_dense"),
        "epochs in all": _mean("epochs"),
        "train s": _mean("train_seconds"),
        "peak memory MiB": lambda cell: _mebibytes(cell.average("peak_memory_bytes")),
    })  # fmt: skip


def moved(panel: Panel) -> bool:
    """Whether a tested network has another mask than its last training started from."""
    return any(_has_moved(trial) for cell in panel.cells for trial in cell.completed)


def number(value: float | None) -> str:
    """Three digits, or the whole number with its thousands marked."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _table(panel: Panel, columns: Columns) -> Table:
    """Rows of completed cells, the dense network first; without columns that nothing is known for."""
    found = [cell for cell in panel.cells if cell.completed]
    texts = {heading: [text(cell) for cell in found] for heading, text in columns.items()}
    known = {heading: column for heading, column in texts.items() if set(column) - {NOTHING}}
    names = [(method_name(cell.method_label), percent(cell.sparsity)) for cell in found]
    rows = zip(*known.values(), strict=True) if known else []
    entries = [tuple(map(Entry, (*name, *row))) for name, row in zip(names, rows, strict=False)]
    return Table(panel.title, (), ("method", "sparsity", *known), tuple(entries))


def _of_mask(when: str) -> Columns:
    """What a mask leaves of the network, at the start (empty) or at the end ("final_")."""
    kept = f"{when}macs_kept"
    return {
        "effective": _sparsity(f"{when}effective_sparsity"),
        "MACs left (speed-up)": _and(_share(kept, "macs_dense"), _times("macs_dense", kept)),
        "empty layers": _mean(f"{when}empty_layers"),
        "disconnected": lambda cell: _count(cell, f"{when}disconnected"),
    }


def _mean(column: str) -> Column:
    return lambda cell: number(cell.average(column))


def _sparsity(column: str) -> Column:
    return lambda cell: NOTHING if (value := cell.average(column)) is None else measured_sparsity(value)


def _share(column: str, by: str) -> Column:
    return lambda cell: _percent(_over(cell, column, by))


def _times(column: str, by: str) -> Column:
    return lambda cell: _multiple(_over(cell, column, by))


def _and(first: Column, aside: Column) -> Column:
    """The first, and the other in brackets where there is one."""
    return lambda cell: first(cell) if (beside := aside(cell)) == NOTHING else f"{first(cell)} ({beside})"


def _over(cell: Cell, column: str, by: str) -> float | None:
    """One mean over another."""
    above, below = cell.average(column), cell.average(by)
    return above / below if above is not None and below else None


def _multiple(value: float | None) -> str:
    return NOTHING if value is None else f"{number(value)}×"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.3g}%"


def _mebibytes(value: float | None) -> str:
    return NOTHING if value is None else number(value / 2**20)


def _count(cell: Cell, column: str) -> str:
    """``2 of 3``: runs of which it is true; ``0`` where there are none."""
    known = [value for trial in cell.completed if (value := getattr(trial, column)) is not None]
    if not known:
        return NOTHING
    return f"{sum(known)} of {len(known)}" if sum(known) else "0"


_MASK = ("effective_sparsity", "macs_kept", "empty_layers", "disconnected")


def _has_moved(trial: TrialRecord) -> bool:
    pairs = [("achieved_sparsity", "final_sparsity"), *((name, f"final_{name}") for name in _MASK)]
    values = [(getattr(trial, start), getattr(trial, end)) for start, end in pairs]
    return any(end is not None and start != end for start, end in values)
