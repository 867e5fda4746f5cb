"""The rows of a query in every format: each value comes back, whatever it is."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.query.formats import csv_text, encoded, json_text, latex_text, markdown_text, table_text
from sweep.report.latex_text import escaped

WHEN = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
ROWS = pa.table(
    {
        "name": ["SNIP, rounds=3", "", None],
        "text": ['a|b_c "d" 50%', "two\nlines", "\x1b[1m*"],
        "mean": [0.8123456789012345, float("nan"), None],
        "n": [-3, 12345678901, None],
        "flag": [True, False, None],
        "ids": [["a", None], [], None],
        "struct": [{"x": 1, "y": float("nan")}, {"x": None, "y": 0.5}, None],
        "packed": [b"\x00\xff", b"", None],
        "when": pa.array([WHEN, WHEN, None], pa.timestamp("us", tz="UTC")),
        "exact": pa.array([Decimal("0.50"), Decimal("1.25"), None], pa.decimal128(4, 2)),
    }
)
FIRST = [
    "SNIP, rounds=3", 'a|b_c "d" 50%', "0.8123456789012345", "-3", "true", '["a", null]', '{"x": 1, "y": null}', "00ff",
    "2026-01-02 03:04:05.000600+00:00", "0.50",
]  # fmt: skip


def test_a_table_has_every_value_whole_and_in_one_line() -> None:
    head, rule, first, second, third = table_text(ROWS).splitlines()
    assert head.split() == ROWS.column_names
    assert set(rule) == {"─", " "}
    assert all(value in first for value in FIRST)
    assert r"two\nlines" in second and "  nan  " in second and "12345678901" in second
    assert r"\x1b[1m*" in third and third.count("NULL") == 9
    assert head.index("mean") + 4 == first.index("0.8123456789012345") + 18, "numbers are aligned right"


def test_rows_wider_than_the_terminal_become_blocks_in_which_nothing_is_shortened() -> None:
    blocks = table_text(ROWS, 80).split("\n\n")
    assert len(blocks) == 3
    assert [line.split(maxsplit=1)[0] for line in blocks[0].splitlines()] == ROWS.column_names
    assert [line[8:] for line in blocks[0].splitlines()] == FIRST
    assert table_text(ROWS.select(["name", "n"]), 80).startswith("name ")


def test_a_csv_tells_null_from_empty_text() -> None:
    text = csv_text(ROWS)
    assert list(csv.reader(io.StringIO(text)))[1] == FIRST
    assert text.splitlines()[-1].startswith(',"\x1b[1m*",,,,'), "null is an empty field"
    assert '\n"","two\nlines",nan,12345678901,false,"[]",' in text, "empty text is two quotes"


def test_json_has_the_values_themselves() -> None:
    first, second, third = json.loads(json_text(ROWS), parse_constant=pytest.fail)
    assert (first["mean"], first["ids"], first["struct"], first["flag"]) == (
        0.8123456789012345, ["a", None], {"x": 1, "y": None}, True,
    )  # fmt: skip
    assert (second["mean"], second["n"], second["text"], second["ids"]) == (None, 12345678901, "two\nlines", [])
    assert (first["packed"], first["when"], first["exact"]) == ("00ff", "2026-01-02T03:04:05.000600+00:00", 0.5)
    assert set(third.values()) == {None, "\x1b[1m*"}
    assert json_text(ROWS.slice(0, 0)) == "[]\n"


def test_parquet_has_the_types() -> None:
    rows = pq.read_table(pa.BufferReader(encoded(ROWS, "parquet")))
    assert rows.schema.equals(ROWS.schema)
    assert repr(rows.to_pylist()) == repr(ROWS.to_pylist())


def test_markdown_keeps_its_columns() -> None:
    head, marks, first, second, third = markdown_text(ROWS).splitlines()
    assert [mark.strip() for mark in marks.split("|")[3:5]] == ["--:", "--:"]
    assert r"a\|b_c" in first
    assert "two<br>lines" in second
    assert r"\*" in third and third.count("–") == 9
    assert head.count("|") == 11


def test_latex_escapes_what_it_would_interpret() -> None:
    text = latex_text(ROWS)
    assert text.startswith("\\begin{tabular}{llrrlllllr}\n\\toprule\n")
    assert r"a\textbar{}b\_c ''d'' 50\%" in text
    assert "$-3$" in text and " nan " in text and " -- " in text
    assert "two lines" in text
    assert latex_text(pa.table({"x": [["a"]]})).splitlines()[4] == r"{}[''a''] \\", r"\\ [ would be a length"
    assert escaped(r"\~^&%$#_{}") == (r"\textbackslash{}\textasciitilde{}\textasciicircum{}\&\%\$\#\_\{\}")


@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet", "markdown", "latex"])
def test_no_rows_and_one_column_of_nulls_are_no_trouble(form: str) -> None:
    assert encoded(ROWS.slice(0, 0), form, 20)
    assert encoded(pa.table({"x": pa.nulls(2)}), form)
