"""The rows of a query as text or as a file, in the formats of ``sweep query --format``.

A value is never shortened: numbers have all digits, ids and names all characters. What each format makes of values
that it has no notation for:

    value           table      csv        json       parquet   markdown   latex
    null            NULL       (empty)    null       null      –          --
    not a number    nan        nan        null       NaN       nan        nan
    list, struct    as JSON    as JSON    itself     itself    as JSON    as JSON
    bytes           as hexadecimal digits            itself    as hexadecimal digits
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from rich.cells import cell_len

from sweep.report.latex_text import escaped

_GAP = "  "  # between the columns of a table


def table_text(rows: pa.Table, width: int | None = None) -> str:
    """Aligned columns; if they are wider than ``width`` characters, every row as a block of lines, a column a line."""
    cells = [[_printable(_text(value, "NULL")) for value in column] for column in _values(rows)]
    widths = [max(map(cell_len, [name, *column])) for name, column in zip(rows.column_names, cells, strict=True)]
    if width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        return _blocks(rows.column_names, cells)
    right = [_is_number(field.type) for field in rows.schema]
    lines = [rows.column_names, ["─" * each for each in widths], *zip(*cells, strict=True)]
    return "".join(
        _GAP.join(_aligned(*cell) for cell in zip(line, widths, right, strict=True)).rstrip() + "\n" for line in lines
    )


def csv_text(rows: pa.Table) -> str:
    """With a header. An empty field is null, ``""`` is empty text."""
    sink = pa.BufferOutputStream()
    columns = [column if _is_flat(column.type) else _as_text(column) for column in map(_in_utc, rows.columns)]
    pa_csv.write_csv(pa.table(columns, names=rows.column_names), sink)
    return sink.getvalue().to_pybytes().decode()


def json_text(rows: pa.Table) -> str:
    """A list of objects, one a line."""
    columns = [[_json(value) for value in column] for column in _values(rows)]
    objects = [dict(zip(rows.column_names, row, strict=True)) for row in zip(*columns, strict=True)]
    lines = ",\n".join(json.dumps(each, ensure_ascii=False, allow_nan=False) for each in objects)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def parquet_bytes(rows: pa.Table) -> bytes:
    """A Parquet file with the types of the query."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def markdown_text(rows: pa.Table) -> str:
    """A table as GitHub and pandoc read it; numbers aligned right."""
    marks = ["--:" if _is_number(field.type) else ":--" for field in rows.schema]
    cells = [[_markdown(_text(value, "–")) for value in column] for column in _values(rows)]
    lines = [list(map(_markdown, rows.column_names)), marks, *zip(*cells, strict=True)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex_text(rows: pa.Table) -> str:
    """A ``tabular`` with the rules of the package booktabs."""
    kinds = ["r" if _is_number(field.type) else "l" for field in rows.schema]
    cells = [[_latex(_text(value, "–")) for value in column] for column in _values(rows)]
    head, *body = [
        " & ".join(line) + r" \\" for line in [list(map(_latex, rows.column_names)), *zip(*cells, strict=True)]
    ]
    lines = [rf"\begin{{tabular}}{{{''.join(kinds)}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}", ""])


WRITERS: dict[str, Callable[[pa.Table], str]] = {
    "csv": csv_text,
    "json": json_text,
    "markdown": markdown_text,
    "latex": latex_text,
}


def encoded(rows: pa.Table, form: str, width: int | None = None) -> bytes:
    """The rows as the bytes of a file.

    Args:
        rows: of a query.
        form: "table", "parquet" or a key of :data:`WRITERS`.
        width: of the terminal, for the form "table".
    """
    if form == "parquet":
        return parquet_bytes(rows)
    return (table_text(rows, width) if form == "table" else WRITERS[form](rows)).encode()


def _blocks(names: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Every row as a block of lines."""
    wide = max(map(cell_len, names))
    blocks = [
        "".join(
            f"{_aligned(name, wide, False)}{_GAP}{cell}".rstrip() + "\n" for name, cell in zip(names, row, strict=True)
        )
        for row in zip(*cells, strict=True)
    ]
    return "\n".join(blocks) if blocks else "".join(f"{name}\n" for name in names)


def _aligned(text: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _values(rows: pa.Table) -> list[list[Any]]:
    """Python's values of every column; equal column names are no trouble."""
    return [_in_utc(column).to_pylist() for column in rows.columns]


def _in_utc(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times with the zone "+00:00", which needs no time-zone database."""
    is_zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
    return column.cast(pa.timestamp(column.type.unit, tz="+00:00")) if is_zoned else column


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _is_flat(kind: pa.DataType) -> bool:
    """Whether Arrow writes values of this type to a CSV as the other formats have them."""
    return _is_number(kind) or pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)


def _as_text(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if value is None else _text(value, "") for value in column.to_pylist()], pa.string())


def _text(value: Any, null: str) -> str:
    """A value as people read it; ``null`` for none."""
    if value is None:
        return null
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, (list, dict, bytes)):
        plain = _json(value)
        return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return str(value)


def _json(value: Any) -> Any:
    """A value that JSON has."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _json(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_json(entry) for entry in value]
    if isinstance(value, tuple) and not hasattr(value, "_fields"):  # an entry of a map
        return [_json(entry) for entry in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _printable(text: str) -> str:
    """The text in one line, with control characters as escapes: a value moves no cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _markdown(text: str) -> str:
    special = re.sub(r"(?<!\w)_|_(?!\w)|[*<>\\|`\[\]]|~(?=\S)", r"\\\g<0>", text)
    return re.sub(r"\s*\n\s*", "<br>", special)


def _latex(text: str) -> str:
    if re.fullmatch(r"-[\d.]+(e-?\d+)?", text):
        return f"${text}$"
    own = escaped(re.sub(r"\s*\n\s*", " ", text))
    return f"{{}}{own}" if own[:1] in ("[", "*") else own  # which the line break before it would take as its option
