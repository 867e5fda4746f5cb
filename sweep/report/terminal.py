"""The accuracy table on a terminal."""

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from sweep.report.table import Table


def render(table: Table) -> Group:
    """Title, notes and rows for a rich console; the best of every sparsity is bold."""
    shown = RichTable(*table.header[:1], box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in table.header[1:]:
        shown.add_column(name, justify="right")
    for row in table.rows:
        shown.add_row(*(Text(entry.text, style="bold" if entry.best else "") for entry in row))
    heading = Text(table.title, style="bold")
    return Group(heading, *(Text(note) for note in table.notes), *([shown] if table.rows else []))
