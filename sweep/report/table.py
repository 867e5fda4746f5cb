"""The summary as rows: for machines (CSV, fractions) and for people (Markdown and terminal, percent)."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sweep.report.names import method_name
from sweep.report.statistics import Cell, Paired, accuracies, cells, labels, leaders, mean, paired, sparsities
from sweep.report.trials import Panel, from_table, panels
from sweep.text import percent

Row = dict[str, Any]

CAPTION = (
    "Final-epoch test accuracy in %: mean ± sample standard deviation (n runs that trained). "
    "Runs at chance are counted beside it, not averaged in."
)
PAIRED_CAPTION = (
    "Difference of final-epoch test accuracy in percentage points, seed by seed: mean ± sample standard "
    "deviation (n seeds where both trained)."
)


def summary_rows(trials: pa.Table) -> list[Row]:
    """One row a cell: data × architecture × setting × method × sparsity, in this order, controls first.

    Accuracies, sparsities and ``macs_kept_fraction`` are fractions; ``n``, ``mean`` and ``std`` are of the
    runs that trained; what a mask is and costs is a mean over all completed runs; ``best`` is as in
    :func:`sweep.report.statistics.best`.
    """
    return [row for panel in panels(from_table(trials)) for row in panel_rows(panel)]


def best_cells(rows: Iterable[Row]) -> list[Row]:
    """Of :func:`summary_rows`, the best row of every sparsity in every panel."""
    return [row for row in rows if row["best"]]


def panel_rows(panel: Panel) -> list[Row]:
    """:func:`summary_rows` of one panel."""
    found = cells(panel)
    return [_row(panel, cell, cell in leaders(found)) for cell in found]


def _row(panel: Panel, cell: Cell, is_best: bool) -> Row:
    dense, kept = cell.average("macs_dense"), cell.average("macs_kept")
    return {
        "data": panel.data,
        "data_encoding": panel.encoding,
        "architecture": panel.trials[0].architecture,
        "architecture_label": panel.architecture,
        "setting": panel.setting,
        "method": cell.method,
        "method_label": cell.method_label,
        "sparsity": cell.sparsity,
        "n": cell.n,
        "mean": cell.mean,
        "std": cell.std,
        "best": is_best,
        "completed": len(cell.completed),
        "collapsed": len(cell.collapsed),
        "failed": cell.failed,
        "diverged": cell.diverged,
        "interrupted": cell.interrupted,
        "collapsed_mean": mean(accuracies(cell.collapsed)),
        "validation_mean": mean([t.validation_accuracy for t in cell.trained if t.validation_accuracy is not None]),
        "seeds": " ".join(str(trial.seed) for trial in cell.completed),
        "prunable": cell.average("prunable"),
        "kept": cell.average("kept"),
        "achieved_sparsity": cell.average("achieved_sparsity"),
        "effective_sparsity": cell.average("effective_sparsity"),
        "empty_layers": cell.average("empty_layers"),
        "macs_dense": dense,
        "macs_kept": kept,
        "macs_kept_fraction": kept / dense if dense and kept is not None else None,
        "gradient_norm": cell.average("gradient_norm"),
        "force_objective": cell.average("force_objective"),
        "revived": cell.average("revived"),
        "prune_seconds": cell.average("prune_seconds"),
        "prune_passes": cell.average("prune_passes"),
        "train_seconds": cell.average("train_seconds"),
        "epochs": cell.average("epochs"),
    }


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV with a header: None is empty, numbers have up to ten digits, truth is ``true``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(map(_plain, row.values()))
    return text.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else value


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
    found = cells(panel)
    columns = sparsities(found)
    leading = leaders(found)
    rows = tuple(
        (Entry(method_name(label)), *(_entry(_find(found, label, sparsity), leading) for sparsity in columns))
        for label in labels(found)
    )
    notes = tuple(f"Dense: {accuracy_text(cell)}" for cell in found if cell.method == "dense")
    return Table(panel.title, notes, ("method", *map(percent, columns)), rows)


def paired_table(panel: Panel, reference: str) -> Table:
    """Each method's accuracy minus that of the method labelled ``reference``, in percentage points."""
    found = cells(panel)
    columns = sparsities(found)
    rows = tuple(
        (
            Entry(method_name(label)),
            *(Entry(_difference(found, label, reference, sparsity)) for sparsity in columns),
        )
        for label in labels(found)
        if label != reference
    )
    header = (f"minus {method_name(reference)}", *map(percent, columns))
    return Table(panel.title, (), header, rows)


def accuracy_text(cell: Cell) -> str:
    """``96.10 ± 0.35 (3)``, with runs at chance, diverged and failed ones named after it."""
    total, lost = len(cell.completed), len(cell.collapsed)
    asides = [f"{count} {word}" for count, word in ((cell.diverged, "diverged"), (cell.failed, "failed")) if count]
    if lost and not cell.n:
        return ", ".join([f"at chance ({lost})", *asides])
    if lost:
        asides.insert(0, f"{lost} of {total} at chance")
    if cell.mean is None:
        return ", ".join(asides) or "–"
    spread = f" ± {100 * cell.std:.2f}" if cell.std is not None else ""
    return ", ".join([f"{100 * cell.mean:.2f}{spread} ({cell.n})", *asides])


def difference_text(difference: Paired) -> str:
    """``+1.20 ± 0.30 (3)``; en dash where no seed has both."""
    if difference.mean is None:
        return "one at chance" if difference.left_out else "–"
    spread = f" ± {100 * difference.std:.2f}" if difference.std is not None else ""
    return f"{100 * difference.mean:+.2f}{spread} ({len(difference.differences)})"


def _find(found: Iterable[Cell], label: str, sparsity: float) -> Cell | None:
    return next((c for c in found if (c.method_label, c.sparsity) == (label, sparsity)), None)


def _entry(cell: Cell | None, leading: Sequence[Cell]) -> Entry:
    return Entry("–") if cell is None else Entry(accuracy_text(cell), cell in leading)


def _difference(found: Sequence[Cell], label: str, reference: str, sparsity: float) -> str:
    ours, theirs = _find(found, label, sparsity), _find(found, reference, sparsity)
    return "–" if ours is None or theirs is None else difference_text(paired(ours, theirs))
