"""The summary as rows, for machines: one a method and sparsity, accuracies and sparsities as fractions."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sweep.records import TrialRecord, numbers
from sweep.report.statistics import Cell, accuracies, leaders, mean
from sweep.report.trials import Panel, from_table, panels

Row = dict[str, Any]

_NOT_AVERAGED = {  # the axes, facts that are no measurements, and what has a column of another name
    *("sparsity", "seed", "classes", "threads", "git_dirty"),
    *("test_accuracy", "validation_accuracy"),  # mean and validation_mean, of the runs that trained
}

MEASURED = [name for name in numbers(TrialRecord) if name not in _NOT_AVERAGED]


def summary_rows(trials: pa.Table) -> list[Row]:
    """One row a cell: data × architecture × setting × method × sparsity, in this order, controls first.

    Accuracies, sparsities and ``macs_kept_fraction`` are fractions; ``n``, ``mean`` and ``std`` are of the
    runs that trained. Every other number of the record is a mean over all completed runs under its own name, a
    truth (``disconnected``) the fraction of them. ``best`` is as in :func:`sweep.report.statistics.best`.
    """
    return [row for panel in panels(from_table(trials, rounds=False)) for row in panel_rows(panel)]


def best_cells(rows: Iterable[Row]) -> list[Row]:
    """Of :func:`summary_rows`, the best row of every sparsity in every panel."""
    return [row for row in rows if row["best"]]


def panel_rows(panel: Panel) -> list[Row]:
    """:func:`summary_rows` of one panel."""
    found = panel.cells
    leading = {cell.key for cell in leaders(found)}
    return [_row(panel, cell, cell.key in leading) for cell in found]


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
        "in_pieces": len(cell.in_pieces),
        "failed": cell.failed,
        "diverged": cell.diverged,
        "interrupted": cell.interrupted,
        "collapsed_mean": mean(accuracies(cell.collapsed)),
        "validation_mean": mean([t.validation_accuracy for t in cell.trained if t.validation_accuracy is not None]),
        "seeds": " ".join(str(trial.seed) for trial in cell.completed),
        **{name: cell.average(name) for name in MEASURED},
        "macs_kept_fraction": kept / dense if dense and kept is not None else None,
    }


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV with a header: None is empty, numbers have up to ten digits, truth is ``true``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(map(_plain, row.values()))
    return text.getvalue()


def write_trials(rows: pa.Table, path: Path) -> None:
    """Rows of a store's table of trials as CSV, times as text in UTC: pyarrow formats them by a time-zone database."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            text = rows.column(place).cast(pa.timestamp(field.type.unit)).cast(pa.string())
            rows = rows.set_column(place, field.name, pc.binary_join_element_wise(text, "Z", ""))
    pyarrow.csv.write_csv(rows, path)


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else value
