"""`sweep query` as a person types it."""

import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.cli.query import FORMATS
from sweep.query import VIEWS
from sweep.query.formats import WRITERS
from sweep.store import Store

COUNT = "select count(*) as n from trials"


@pytest.fixture
def ask(local: Store, outcome, monkeypatch):
    """Run the command where results/ has two trials; an error that it does not expect fails the test."""
    for number in range(2):
        local.write(outcome(f"{number:016x}", seed=number, sweep="mine"))
    monkeypatch.chdir(local.local.parent)

    def run(*arguments: str, stdin: str | None = None) -> SimpleNamespace:
        result = CliRunner().invoke(main, ["query", *arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr)

    return run


def test_the_sql_comes_from_an_argument_a_file_or_standard_input(ask) -> None:
    Path("count.sql").write_text(COUNT)
    answers = [ask(COUNT), ask("--file", "count.sql"), ask("-", stdin=COUNT), ask("--file", "-", stdin=COUNT)]
    assert {(answer.code, answer.out, answer.err) for answer in answers} == {(0, "n\n─\n2\n", "")}


def test_sql_may_begin_with_a_comment(ask) -> None:
    for comment in ("-- the best\n", "--best of all\n", "--best\n"):
        assert json.loads(ask(f"{comment}select 1 as one", "--format", "json").out) == [{"one": 1}]
        assert json.loads(ask("--format", "json", "--", f"{comment}select 1 as one").out) == [{"one": 1}]
    assert "No such option '--best'" in ask("--best", "select 1").err


def test_a_file_is_written_in_the_format_of_its_ending_and_never_replaced_unasked(ask) -> None:
    assert ask("from trials", "--out", "rows.parquet").code == 0
    assert pq.read_table("rows.parquet").num_rows == 2
    again = ask(COUNT, "--out", "rows.parquet")
    assert (again.code, again.out) == (2, "")
    assert again.err == "error: --out: rows.parquet exists; --force replaces it, another --out keeps it\n"
    assert ask(COUNT, "--out", "rows.parquet", "--force", "--format", "json").code == 0
    assert json.loads(Path("rows.parquet").read_text()) == [{"n": 2}]
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["results", "rows.parquet"]


def test_the_formats_of_the_option_are_those_that_can_be_written() -> None:
    assert set(FORMATS) == {"table", "parquet", *WRITERS}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), 'query: no SQL; for example: sweep query "select count(*) from trials"'),
        ((COUNT, "--file", "count.sql"), "give the SQL as an argument or in --file, not both"),
        (("--file", "absent.sql"), "--file absent.sql: No such file or directory"),
        ((COUNT, "--store", "absent"), "absent does not exist; name another with --store, or launch a sweep"),
        ((COUNT, "--sweep", "mime"), "no sweep named 'mime'; it holds: mine"),
        ((COUNT, "--out", "rows.xlsx"), "--out rows.xlsx: the ending names no format (.txt, .csv, .json, .parquet"),
        ((COUNT, "--out", "absent/rows.csv"), "--out absent/rows.csv: there is no folder absent"),
        ((COUNT, "--out", "results", "--format", "csv"), "--out results is a folder; name a file in it"),
        ((COUNT, "--out", "results/trials/x.parquet"), "lies in the store"),
        (("--schema", COUNT), "--schema lists what SQL may name, and takes no SQL"),
        (("select sed from trials",), "columns that come close: trials.seed"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2_and_leaves_no_file(ask, arguments, error) -> None:
    before = sorted(Path.cwd().rglob("*"))
    answer = ask(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert error in answer.err
    assert sorted(Path.cwd().rglob("*")) == before


def test_parquet_is_not_shown_on_a_terminal(ask, monkeypatch) -> None:
    monkeypatch.setattr("sweep.cli.query._is_terminal", lambda: True)
    answer = ask(COUNT, "--format", "parquet")
    assert (answer.code, answer.err) == (
        2, "error: --format parquet: a terminal cannot show it; name a file with --out\n",
    )  # fmt: skip


def test_several_stores_are_one(ask, tmp_path, outcome) -> None:
    Store(tmp_path / "other").write(outcome("f" * 16))
    assert ask(COUNT, "--store", "results", "--store", "other", "--format", "csv").out == '"n"\n3\n'


def test_no_rows_are_said_and_damage_is_named(ask, local) -> None:
    assert ask("from trials where seed = 7", "--format", "json").err == "no rows\n"
    [path] = (local.local / "trials").glob(f"{1:016x}*")
    path.write_bytes(b"damaged")
    answer = ask(COUNT)
    assert answer.out == "n\n─\n1\n"
    assert answer.err.startswith(f"skipped, cannot read {path}")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("form", FORMATS)
def test_the_schema_lists_every_column_with_its_meaning(ask, form, tmp_path) -> None:
    arguments = ("--schema", "--format", form)
    if form == "parquet":
        assert ask(*arguments, "--out", "schema.parquet").code == 0
        text = str(pq.read_table("schema.parquet").to_pylist())
    else:
        text = ask(*arguments).out
    for view in VIEWS.values():
        assert view.name in text
        for column in view.columns:
            assert column.name.replace("_", r"\_" if form == "latex" else "_") in text
    assert "hash of everything" in text
