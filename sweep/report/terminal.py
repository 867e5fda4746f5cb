"""Tables for a terminal, as rich draws them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from sweep.report.table import Table


def render(table: Table) -> Group:
    """Title, notes and rows for a rich console; the best of every sparsity is bold."""
    body = RichTable(*table.header[:1], box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in table.header[1:]:
        body.add_column(name, justify="right")
    for row in table.rows:
        body.add_row(*(Text(entry.text, style="bold" if entry.best else "") for entry in row))
    heading = Text(table.title, style="bold")
    return Group(heading, *(Text(note) for note in table.notes), *([body] if table.rows else []))


def columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> RichTable:
    """The keys ``names`` of some rows as a plain table, numbers aligned right."""
    table = RichTable(box=None, pad_edge=False)
    for column in names:
        numeric = bool(rows) and isinstance(rows[0][column], (int, float))
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in names))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return "×".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
