"""SQL over the tables of stores: DuckDB, in memory, without a way to files, the network or this process's variables."""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from sweep.errors import InputError
from sweep.query.views import VIEWS, View

_CLOSED: dict[str, bool | str] = {  # in this order
    "TimeZone": "UTC",
    "temp_directory": "",  # nothing is written to the working folder
    "python_enable_replacements": False,  # no variables of Python code as tables
    "enable_external_access": False,  # no files, no network, no extensions
    "lock_configuration": True,
}
_NEAR = 5  # columns in an error
_HUGE = pa.decimal128(38, 0)  # DuckDB's type of a sum of whole numbers


class _Lazy(pads.InMemoryDataset):
    """A view whose columns are read when DuckDB scans them: of a dataset it asks for those that a query needs.

    Attributes:
        error: what ended a reading, which DuckDB reports as an error of its own.
    """

    def __init__(self, view: View, read: Callable[[str, list[str]], pa.Table]):
        super().__init__(view.schema.empty_table())
        self._view, self._read = view, read
        self._columns: dict[str, pa.ChunkedArray] = {}
        self.error: Exception | None = None

    def scanner(self, columns: list[str] | None = None, filter: pads.Expression | None = None, **options: Any) -> Any:
        """A scanner of these columns; a filter may need others."""
        wanted = self._view.schema.names if columns is None else columns
        needed = [*wanted, *_named(str(filter), self._view.schema.names)]
        try:
            if not set(needed) <= set(self._columns):
                rows = self._read(self._view.name, list(dict.fromkeys(needed)))
                self._columns = dict(zip(rows.column_names, rows.columns, strict=True))
        except Exception as error:
            self.error = error
            raise
        rows = pa.table({name: self._columns[name] for name in dict.fromkeys(needed)})
        return pads.InMemoryDataset(rows).scanner(columns=columns, filter=filter, **options)


def run(sql: str, read: Callable[[str, list[str]], pa.Table]) -> pa.Table:
    """The rows of one query.

    Args:
        sql: one statement that only reads: SELECT, FROM, WITH, DESCRIBE, SUMMARIZE or SHOW.
        read: some columns of a view in :data:`sweep.query.views.VIEWS`. Called with the view's name and theirs.

    Raises:
        InputError: it is no such statement, or DuckDB refuses it; the message has DuckDB's, and the columns that come
            close to a mistyped one.
    """
    views = {name: _Lazy(view, read) for name, view in VIEWS.items()}
    try:
        with duckdb.connect(":memory:") as connection:
            for option, value in _CLOSED.items():
                connection.execute(f"SET {option} = {value!r}")
            _check_statement(connection, sql)
            for name, view in views.items():
                connection.register(name, view)
            return _plain(connection.sql(sql).to_arrow_table())
    except duckdb.Error as error:
        for view in views.values():
            if view.error is not None:
                raise view.error from None
        raise InputError(_message(sql, str(error))) from None


def _check_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise InputError(f"query: {len(statements) or 'no'} statements; give one, such as: select count(*) from trials")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise InputError(
            f"query: this is a statement of the kind {kind.name}; a query only reads, with one SELECT, FROM, WITH, "
            "DESCRIBE, SUMMARIZE or SHOW"
        )


def _named(sql: str, names: Iterable[str]) -> list[str]:
    """Those of the names that are words of the SQL or expression."""
    words = set(re.findall(r"\w+", sql.lower()))
    return [name for name in names if name in words]


def _plain(rows: pa.Table) -> pa.Table:
    """Column names that differ, as files need them; sums of whole numbers as whole numbers again."""
    names: list[str] = []
    for name in rows.column_names:
        same = sum(other == name or re.fullmatch(rf"{re.escape(name)}_\d+", other) is not None for other in names)
        names.append(f"{name}_{same}" if name in names else name)
    columns = [_whole(column) if column.type == _HUGE else column for column in rows.columns]
    return pa.table(columns, names=names)


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    limits = pc.min_max(column).as_py()
    fits = all(limit is None or -(2**63) <= limit < 2**63 for limit in limits.values())
    return column.cast(pa.int64()) if fits else column


def _message(sql: str, duckdbs: str) -> str:
    """DuckDB's message and what helps: columns that come close, and the views."""
    lines = [line for line in duckdbs.splitlines() if line.strip()]
    head = " ".join(lines).partition(" LINE ")[0]
    mistyped = re.search(r'(?:Referenced column|have a column named) "([^"]+)"', head)
    if mistyped:
        lines.append(_near(mistyped[1], _named(sql, VIEWS) or list(VIEWS)))
        if f'"{mistyped[1]}"' in sql:
            lines.append(f"text stands in single quotes: '{mistyped[1]}'")
    elif "Table with name" in head or "Referenced table" in head:
        lines.append(f"the views are: {', '.join(VIEWS)}")
    return "\n".join([f"query: {lines[0]}", *lines[1:]])


def _near(name: str, views: Iterable[str]) -> str:
    """The columns of some views whose names come close to a mistyped one."""
    columns = {f"{view}.{column.name}": column.name for view in views for column in VIEWS[view].columns}
    ratio = {full: difflib.SequenceMatcher(None, name.lower(), own).ratio() for full, own in columns.items()}
    near = [full for full in sorted(columns, key=lambda full: -ratio[full]) if ratio[full] > 0.6][:_NEAR]
    return f"columns that come close: {', '.join(near) or 'none'}; all of them: sweep query --schema"
