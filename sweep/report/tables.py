"""Tables for people, on a terminal and in Markdown: accuracy, paired differences, masks and cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweep.report.cells import Cell, PairedDifference, by_label, labels, paired, sparsities
from sweep.report.columns import COST, END, MOVED, START, UNKNOWN, Column
from sweep.report.names import method_name, split_control
from sweep.report.trials import Panel
from sweep.text import percent

BySparsity = Mapping[float, Cell]  # of one method

CAPTION = (
    "Final-epoch test accuracy in %: mean ± sample standard deviation (n runs that trained). "
    "Runs at chance are counted beside it, not averaged in."
)
PAIRED_CAPTION = (
    "Difference of final-epoch test accuracy in percentage points, seed by seed: mean ± sample standard "
    "deviation (n seeds where both trained). Runs of one seed are a pair only if they started from the same weights."
)
SANITY_CAPTION = (
    "Each control minus the method that it is made of, seed by seed as above. Shuffled within layers: as many "
    "weights in each layer, at random places. Re-initialised: the mask on fresh weights. Inverted: what the method "
    "would keep is removed. What a method knows beyond a density for each layer is lost by shuffling."
)


@dataclass(frozen=True)
class TableEntry:
    """One entry as text; ``best`` is printed bold."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table for people: a title, notes above it (the dense accuracy), a header, and rows of entries."""

    title: str
    notes: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[TableEntry, ...], ...]

    def markdown(self) -> str:
        """As Markdown without the title; the best entries are bold."""
        marks = [":--", *["--:"] * (len(self.header) - 1)]
        lines = [
            self.header,
            marks,
            *([f"**{e.text}**" if e.best else e.text for e in row] for row in self.rows),
        ]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([*self.notes, table] if self.rows else self.notes)


def accuracy_table(panel: Panel) -> Table:
    """Methods as rows, sparsities as columns, final test accuracy in percent; the dense network above it."""
    columns = sparsities(panel.cells)
    rows = tuple(
        (TableEntry(method_name(label)), *(_accuracy_entry(panel, cells.get(sparsity)) for sparsity in columns))
        for label, cells in _by_method(panel.cells).items()
    )
    notes = tuple(f"Dense: {accuracy_text(cell)}" for cell in panel.cells if cell.method == "dense")
    return Table(panel.title, notes, ("method", *map(percent, columns)), rows)


def paired_table(panel: Panel, reference: str) -> Table:
    """Each method's accuracy minus that of the method labelled ``reference``, in percentage points."""
    names = [label for label in labels(panel.cells) if label != reference and not split_control(label)[1]]
    return _differences(panel, f"minus {method_name(reference)}", dict.fromkeys(names, reference))


def sanity_table(panel: Panel) -> Table:
    """Each control's accuracy minus that of the method it is made of; no rows where there are no controls."""
    methods = {label: split_control(label)[0] for label in labels(panel.cells) if split_control(label)[1]}
    return _differences(panel, "minus its method", methods)


def start_table(panel: Panel) -> Table:
    """One row a method and sparsity: the mask that the (last) training starts from."""
    return _cell_table(panel, START)


def end_table(panel: Panel) -> Table:
    """One row a method and sparsity: the tested network; its mask only where masks moved during training."""
    return _cell_table(panel, (*MOVED, *END) if panel.masks_moved else END)


def cost_table(panel: Panel) -> Table:
    """One row a method and sparsity: what the mask and the training cost."""
    return _cell_table(panel, COST)


def _cell_table(panel: Panel, columns: Sequence[Column]) -> Table:
    """Rows of cells with a completed run, the dense network first; columns without any known value are left out."""
    cells = [cell for cell in panel.cells if cell.completed]
    texts = {column.name: [column.value(panel, cell) for cell in cells] for column in columns}
    known = {name: values for name, values in texts.items() if set(values) - {UNKNOWN}}
    names = [(method_name(cell.method_label), percent(cell.sparsity)) for cell in cells]
    rows = zip(*known.values(), strict=True) if known else []
    entries = [tuple(map(TableEntry, (*name, *row))) for name, row in zip(names, rows, strict=False)]
    return Table(panel.title, (), ("method", "sparsity", *known), tuple(entries))


def _differences(panel: Panel, heading: str, references: Mapping[str, str]) -> Table:
    """Rows of each method (the keys) against its reference."""
    columns, methods = sparsities(panel.cells), _by_method(panel.cells)
    rows = tuple(
        (
            TableEntry(method_name(label)),
            *(TableEntry(_difference(methods[label], methods[other], sparsity)) for sparsity in columns),
        )
        for label, other in references.items()
        if other in methods
    )
    return Table(panel.title, (), (heading, *map(percent, columns)), rows)


def accuracy_text(cell: Cell) -> str:
    """``96.10 ± 0.35 (3)``, followed by the runs at chance, in pieces, diverged and failed."""
    total, collapsed = len(cell.completed), len(cell.collapsed)
    counts = {"in pieces": len(cell.in_pieces), "diverged": cell.diverged, "failed": cell.failed}
    asides = [f"{count} {word}" for word, count in counts.items() if count]
    if collapsed and not cell.n:
        return ", ".join([f"at chance ({collapsed})", *asides])
    if collapsed:
        asides.insert(0, f"{collapsed} of {total} at chance")
    if cell.mean is None:
        return ", ".join(asides) or UNKNOWN
    spread = f" ± {100 * cell.std:.2f}" if cell.std is not None else ""
    return ", ".join([f"{100 * cell.mean:.2f}{spread} ({cell.n})", *asides])


def difference_text(difference: PairedDifference) -> str:
    """``+1.20 ± 0.30 (3)``; else which of the two is at chance; an en dash where they share no seed.

    Seeds where the two started from different weights, or split their batches differently, are counted after it.
    """
    asides = [f"{difference.unlike} of other initial weights"] if difference.unlike else []
    if difference.in_pieces:
        asides.insert(0, f"{difference.in_pieces} in pieces")
    if difference.mean is None:
        texts = {(True, False): "at chance", (False, True): "other at chance", (True, True): "both at chance"}
        kinds = set(difference.at_chance)
        if kinds:
            asides.insert(0, texts[kinds.pop()] if len(kinds) == 1 else "one at chance")
        return ", ".join(asides) or UNKNOWN
    spread = f" ± {100 * difference.std:.2f}" if difference.std is not None else ""
    return ", ".join([f"{100 * difference.mean:+.2f}{spread} ({len(difference.differences)})", *asides])


def span(numbers: set[int]) -> str:
    """``{3}`` -> ``3``, ``{2, 3}`` -> ``2 to 3``."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return str(low) if low == high else f"{low} to {high}"


def _by_method(cells: Iterable[Cell]) -> dict[str, BySparsity]:
    """Every method's cells by sparsity, methods in order."""
    return {label: {cell.sparsity: cell for cell in line} for label, line in by_label(cells).items()}


def _accuracy_entry(panel: Panel, cell: Cell | None) -> TableEntry:
    return TableEntry(UNKNOWN) if cell is None else TableEntry(accuracy_text(cell), cell.key in panel.leading)


def _difference(cells: BySparsity, reference: BySparsity, sparsity: float) -> str:
    ours, theirs = cells.get(sparsity), reference.get(sparsity)
    return UNKNOWN if ours is None or theirs is None else difference_text(paired(ours, theirs))
