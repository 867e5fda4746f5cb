"""Tables for people, on a terminal and in Markdown: accuracy and paired differences, in percent."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from sweep.report.names import method_name, split_control
from sweep.report.statistics import Cell, Paired, by_label, labels, leaders, paired, sparsities
from sweep.report.trials import Panel
from sweep.text import percent

Line = Mapping[float, Cell]  # a method's cells by sparsity

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
class Entry:
    """One cell as text; ``best`` stands out."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table for people: a title, notes above it (the dense accuracy), a header and rows of entries."""

    title: str
    notes: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]

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

    def text(self) -> str:
        """As aligned plain text with the title; the best entries carry a ``*``."""
        body = [[e.text + ("*" if e.best else " ") for e in row] for row in self.rows]
        lines = [[f"{name} " for name in self.header], *body] if body else []
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = [
            " ".join(
                [line[0].ljust(widths[0]), *(t.rjust(w) for t, w in zip(line[1:], widths[1:], strict=True))]
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, *self.notes, *aligned])


def accuracy_table(panel: Panel) -> Table:
    """Methods as rows, sparsities as columns, final test accuracy in percent; the dense network above it."""
    found = panel.cells
    columns = sparsities(found)
    leading = {cell.key for cell in leaders(found)}
    rows = tuple(
        (Entry(method_name(label)), *(_entry(its.get(sparsity), leading) for sparsity in columns))
        for label, its in _lines(found).items()
    )
    notes = tuple(f"Dense: {accuracy_text(cell)}" for cell in found if cell.method == "dense")
    return Table(panel.title, notes, ("method", *map(percent, columns)), rows)


def paired_table(panel: Panel, reference: str) -> Table:
    """Each method's accuracy minus that of the method labelled ``reference``, in percentage points."""
    names = [label for label in labels(panel.cells) if label != reference and not split_control(label)[1]]
    return _differences(panel, f"minus {method_name(reference)}", dict.fromkeys(names, reference))


def sanity_table(panel: Panel) -> Table:
    """Each control's accuracy minus that of the method it is made of; without rows where there is none."""
    own = {label: split_control(label)[0] for label in labels(panel.cells) if split_control(label)[1]}
    return _differences(panel, "minus its method", own)


def _differences(panel: Panel, heading: str, references: Mapping[str, str]) -> Table:
    """Rows of each method (the keys) against its reference."""
    found = panel.cells
    columns, lines = sparsities(found), _lines(found)
    rows = tuple(
        (Entry(method_name(label)), *(Entry(_difference(lines[label], lines[other], at)) for at in columns))
        for label, other in references.items()
        if other in lines
    )
    return Table(panel.title, (), (heading, *map(percent, columns)), rows)


def accuracy_text(cell: Cell) -> str:
    """``96.10 ± 0.35 (3)``, with runs at chance, in pieces, diverged and failed ones named after it."""
    total, lost = len(cell.completed), len(cell.collapsed)
    counts = {"in pieces": len(cell.in_pieces), "diverged": cell.diverged, "failed": cell.failed}
    asides = [f"{count} {word}" for word, count in counts.items() if count]
    if lost and not cell.n:
        return ", ".join([f"at chance ({lost})", *asides])
    if lost:
        asides.insert(0, f"{lost} of {total} at chance")
    if cell.mean is None:
        return ", ".join(asides) or "–"
    spread = f" ± {100 * cell.std:.2f}" if cell.std is not None else ""
    return ", ".join([f"{100 * cell.mean:.2f}{spread} ({cell.n})", *asides])


def difference_text(difference: Paired) -> str:
    """``+1.20 ± 0.30 (3)``; else which of the two is at chance; en dash where no seed has both.

    Seeds where the two started from other weights, or one took its batches in pieces, are counted beside it.
    """
    asides = [f"{difference.unlike} of other initial weights"] if difference.unlike else []
    if difference.in_pieces:
        asides.insert(0, f"{difference.in_pieces} in pieces")
    if difference.mean is None:
        which = {(True, False): "at chance", (False, True): "other at chance", (True, True): "both at chance"}
        kinds = set(difference.at_chance)
        if kinds:
            asides.insert(0, which[kinds.pop()] if len(kinds) == 1 else "one at chance")
        return ", ".join(asides) or "–"
    spread = f" ± {100 * difference.std:.2f}" if difference.std is not None else ""
    return ", ".join([f"{100 * difference.mean:+.2f}{spread} ({len(difference.differences)})", *asides])


def _lines(found: Iterable[Cell]) -> dict[str, Line]:
    """Every method's cells by sparsity, methods in order."""
    return {label: {cell.sparsity: cell for cell in its} for label, its in by_label(found).items()}


def _entry(cell: Cell | None, leading: Container[tuple[str, float]]) -> Entry:
    return Entry("–") if cell is None else Entry(accuracy_text(cell), cell.key in leading)


def _difference(line: Line, reference: Line, sparsity: float) -> str:
    ours, theirs = line.get(sparsity), reference.get(sparsity)
    return "–" if ours is None or theirs is None else difference_text(paired(ours, theirs))
