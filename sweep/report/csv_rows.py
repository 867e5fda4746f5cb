"""``summary.csv`` and ``trials.csv``: rows for machines, accuracies and sparsities as fractions."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sweep.report.columns import SUMMARY
from sweep.report.trials import Panel, from_table, panels

CsvRow = dict[str, Any]


def summary_rows(trials: pa.Table) -> list[CsvRow]:
    """One row a cell: data × architecture × setting × method × sparsity, in this order, controls first.

    The keys are those of :data:`sweep.report.columns.SUMMARY`. Accuracies, sparsities and ``macs_kept_fraction`` are
    fractions; ``n``, ``mean`` and ``std`` are of the runs that trained. Every other number of the record is a mean
    over all completed runs under its own name, a truth (``disconnected``) the fraction of them.
    """
    return [row for panel in panels(from_table(trials, rounds=False)) for row in panel_rows(panel)]


def best_cells(rows: Iterable[CsvRow]) -> list[CsvRow]:
    """Of :func:`summary_rows`, the best row of every sparsity in every panel."""
    return [row for row in rows if row["best"]]


def panel_rows(panel: Panel) -> list[CsvRow]:
    """:func:`summary_rows` of one panel."""
    return [{column.name: column.value(panel, cell) for column in SUMMARY} for cell in panel.cells]


def to_csv(rows: Sequence[CsvRow]) -> str:
    """Rows as CSV with a header: None is empty, numbers have up to ten digits, a truth is ``true`` or ``false``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0] if rows else [column.name for column in SUMMARY])
    for row in rows:
        writer.writerow(map(_csv_value, row.values()))
    return text.getvalue()


def write_trials(rows: pa.Table, path: Path) -> None:
    """Write rows of a store's table of trials as CSV, times as text in UTC.

    pyarrow itself would need a time-zone database to format times.
    """
    for index, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            text = rows.column(index).cast(pa.timestamp(field.type.unit)).cast(pa.string())
            rows = rows.set_column(index, field.name, pc.binary_join_element_wise(text, "Z", ""))
    pyarrow.csv.write_csv(rows, path)


def _csv_value(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else value
