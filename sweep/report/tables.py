"""Tables of cells: accuracy, its intervals, masks and cost."""

from collections.abc import Iterable, Mapping, Sequence

from sweep.report.cells import Cell, by_label, sparsities
from sweep.report.columns import (
    COST,
    COST_CAPTION,
    END,
    END_CAPTION,
    MOVED,
    MOVED_CAPTION,
    START,
    START_CAPTION,
    UNKNOWN,
    Column,
)
from sweep.report.comparisons import FEWEST, Comparisons
from sweep.report.names import method_name
from sweep.report.number_text import points, points_interval
from sweep.report.table import Table, TableEntry
from sweep.report.trials import Panel
from sweep.text import percent

BySparsity = Mapping[float, Cell]  # of one method

CAPTION = (
    "Final-epoch test accuracy in %: mean ± sample standard deviation (n runs that trained). "
    "Runs at chance are counted beside it, not averaged in. Bold: at its sparsity, every method that a paired t-test, "
    f"corrected by Holm over this table, does not find worse than the best; of at least {FEWEST} seeds, none of which "
    "collapsed or diverged."
)
INTERVALS_CAPTION = (
    "Final-epoch test accuracy in %. n: runs that trained; mean and 95 % t-interval are of these (equal runs have "
    "no interval). At chance: of all "
    "completed runs, with Wilson's 95 % interval of the rate. The mean of all includes runs at chance. Missing: seeds "
    "that other cells have. A t-interval is symmetric about the mean: with few seeds it may pass 0 or 100 %."
)


def accuracy_table(panel: Panel, comparisons: Comparisons | None = None, *, running: bool = False) -> Table:
    """Methods as rows, sparsities as columns, final test accuracy in percent; the dense network above it.

    Args:
        panel: whose cells.
        comparisons: of the panel, where they have been computed already.
        running: whether trials are still to come, so that no seed counts as missing.
    """
    found = comparisons or Comparisons(panel)
    columns = sparsities(panel.cells)

    def entry(cell: Cell | None) -> TableEntry:
        if cell is None:
            return TableEntry(UNKNOWN)
        return TableEntry(accuracy_text(cell, 0 if running else len(panel.missing(cell))), cell.key in found.not_worse)

    rows = tuple(
        (TableEntry(method_name(label)), *(entry(cells.get(sparsity)) for sparsity in columns))
        for label, cells in _by_method(panel.cells).items()
    )
    notes = [f"Dense: {entry(cell).text}" for cell in panel.cells if cell.method == "dense"]
    if rows and found.undecided and not running:
        notes.append(_no_best(found.undecided))
    return Table(panel.title, tuple(notes), ("method", *map(percent, columns)), rows, CAPTION, "accuracy")


def _no_best(undecided: Sequence[float]) -> str:
    where = ", ".join(map(percent, undecided))
    return f"None is bold at {where}: no method there has {FEWEST} seeds, all of which trained."


def interval_table(panel: Panel) -> Table:
    """One row a method and sparsity: n, mean, t-interval, runs at chance, mean of all; seeds if some are missing."""
    header: tuple[str, ...] = ("method", "sparsity", "n", "mean", "95% interval", "at chance", "mean of all")
    texts: list[tuple[str, ...]] = [
        (method_name(cell.method_label), percent(cell.sparsity), *_intervals(cell)) for cell in panel.cells
    ]
    if any(panel.missing(cell) for cell in panel.cells):
        header = (*header, "missing seeds")
        missing = [", ".join(map(str, panel.missing(cell))) or "none" for cell in panel.cells]
        texts = [(*row, seeds) for row, seeds in zip(texts, missing, strict=True)]
    rows = tuple(tuple(map(TableEntry, row)) for row in texts)
    return Table(panel.title, (), header, rows, INTERVALS_CAPTION, "intervals")


def _intervals(cell: Cell) -> tuple[str, ...]:
    interval, rate = cell.interval, cell.collapse_rate
    chance = f"{len(cell.collapsed)} of {len(cell.completed)}"
    return (
        str(cell.n),
        points(cell.mean),
        points_interval(interval.low, interval.high) if interval else UNKNOWN,
        f"{chance} [{100 * rate.low:.0f}%, {100 * rate.high:.0f}%]" if rate else UNKNOWN,
        points(cell.mean_all),
    )


def start_table(panel: Panel) -> Table:
    """One row a method and sparsity: the mask that the (last) training starts from."""
    return _cell_table(panel, START, START_CAPTION, "masks")


def end_table(panel: Panel) -> Table:
    """One row a method and sparsity: the tested network; its mask only where masks moved during training."""
    if panel.masks_moved:
        return _cell_table(panel, (*MOVED, *END), MOVED_CAPTION, "after-training")
    return _cell_table(panel, END, END_CAPTION, "after-training")


def cost_table(panel: Panel) -> Table:
    """One row a method and sparsity: what the mask and the training cost."""
    return _cell_table(panel, COST, COST_CAPTION, "cost")


def _cell_table(panel: Panel, columns: Sequence[Column], caption: str, name: str) -> Table:
    """Rows of cells with a completed run, the dense network first; columns without any known value are left out."""
    cells = [cell for cell in panel.cells if cell.completed]
    texts = {column.name: [column.value(panel, cell) for cell in cells] for column in columns}
    known = {name: values for name, values in texts.items() if set(values) - {UNKNOWN}}
    names = [(method_name(cell.method_label), percent(cell.sparsity)) for cell in cells]
    rows = zip(*known.values(), strict=True) if known else []
    entries = [tuple(map(TableEntry, (*name, *row))) for name, row in zip(names, rows, strict=False)]
    return Table(panel.title, (), ("method", "sparsity", *known), tuple(entries), caption, name)


def accuracy_text(cell: Cell, missing: int = 0) -> str:
    """``96.10 ± 0.35 (3)``, followed by the runs at chance, in pieces, in conflict, diverged, failed and missing."""
    total, collapsed = len(cell.completed), len(cell.collapsed)
    counts = {
        "in pieces": len(cell.in_pieces), "in conflict": len(cell.in_conflict), "diverged": cell.diverged,
        "failed": cell.failed, "missing": missing,
    }  # fmt: skip
    asides = [f"{count} {word}" for word, count in counts.items() if count]
    if collapsed and not cell.n:
        return ", ".join([f"at chance ({collapsed})", *asides])
    if collapsed:
        asides.insert(0, f"{collapsed} of {total} at chance")
    if cell.mean is None:
        return ", ".join(asides) or UNKNOWN
    spread = f" ± {100 * cell.std:.2f}" if cell.std is not None else ""
    return ", ".join([f"{100 * cell.mean:.2f}{spread} ({cell.n})", *asides])


def span(numbers: set[int]) -> str:
    """``{3}`` -> ``3``, ``{2, 3}`` -> ``2 to 3``."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return str(low) if low == high else f"{low} to {high}"


def _by_method(cells: Iterable[Cell]) -> dict[str, BySparsity]:
    """Every method's cells by sparsity, methods in order."""
    return {label: {cell.sparsity: cell for cell in line} for label, line in by_label(cells).items()}
