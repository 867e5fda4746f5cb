"""The CSV files: rows for machines, accuracies and sparsities as fractions."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sweep.report.columns import NOT_WORSE, SUMMARY
from sweep.report.comparisons import Comparisons
from sweep.report.trials import Panel, from_table, panels

CsvRow = dict[str, Any]
SUMMARY_HEADER = [
    name for column in SUMMARY for name in (column.name, *(NOT_WORSE[:1] if column.name == "best" else ()))
]


def summary_rows(trials: pa.Table) -> list[CsvRow]:
    """One row a cell: data × architecture × setting × method × sparsity, in this order, controls first.

    The keys are those of :data:`sweep.report.columns.SUMMARY`. Accuracies, sparsities and ``macs_kept_fraction`` are
    fractions; ``n``, ``mean``, its interval and ``std`` are of the runs that trained. Every other number of the record
    is a mean over all completed runs under its own name, a truth (``disconnected``) the fraction of them.
    """
    return [row for panel in panels(from_table(trials, rounds=False)) for row in panel_rows(panel)]


def best_cells(rows: Iterable[CsvRow]) -> list[CsvRow]:
    """Of :func:`summary_rows`, the best row of every sparsity in every panel."""
    return [row for row in rows if row["best"]]


def panel_rows(panel: Panel, comparisons: Comparisons | None = None) -> list[CsvRow]:
    """:func:`summary_rows` of one panel.

    Args:
        panel: whose cells.
        comparisons: of the panel, where they have been computed already.
    """
    bold, rows = (comparisons or Comparisons(panel)).not_worse, []
    for cell in panel.cells:
        values = {column.name: column.value(panel, cell) for column in SUMMARY} | {NOT_WORSE[0]: cell.key in bold}
        rows.append({name: values[name] for name in SUMMARY_HEADER})
    return rows


def to_csv(rows: Sequence[CsvRow], header: Iterable[str] = ()) -> str:
    """Rows as CSV with a header: None is empty, numbers have up to ten digits, a truth is ``true`` or ``false``.

    Args:
        rows: with equal keys.
        header: the keys, where there may be no rows.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(tuple(header) or rows[0])
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
