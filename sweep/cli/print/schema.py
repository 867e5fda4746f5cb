"""The views of ``sweep query`` with their columns, types and meanings."""

import textwrap

import pyarrow as pa

from sweep.query import VIEWS

_MEANINGS = 120  # characters of a line that goes to no terminal


def rows() -> pa.Table:
    """One row a column of a view."""
    columns = [(view.name, column) for view in VIEWS.values() for column in view.columns]
    return pa.table(
        {
            "view": [name for name, _ in columns],
            "column": [column.name for _, column in columns],
            "type": [column.sql_type for _, column in columns],
            "meaning": [column.meaning for _, column in columns],
        }
    )


def text(width: int | None) -> str:
    """For people: under every view its columns, each with its type in brackets and its meaning, in lines that fit."""
    parts = []
    for view in VIEWS.values():
        lines = [f"{column.name} ({column.sql_type}): {column.meaning}" for column in view.columns]
        parts += [f"{view.name}: one row is {view.rows}", *(_filled(line, width or _MEANINGS) for line in lines), ""]
    return "\n".join(parts[:-1]) + "\n"


def _filled(line: str, width: int) -> str:
    return textwrap.fill(
        line, width, initial_indent="  ", subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
    )
