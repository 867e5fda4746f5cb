"""SQL over a store: right numbers, nothing but reading, errors that help."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import sweep
from sweep.errors import InputError, StoreError
from sweep.query.sql import run
from sweep.query.views import VIEWS
from sweep.records import Outcome, RoundRecord
from sweep.store import Store

from ..store.helpers import files


def test_a_mean_by_data_set_and_method_is_that_of_its_runs(filled: Store) -> None:
    rows = sweep.load(filled).sql(
        "select data_name, method_name, round(avg(test_accuracy), 4) as accuracy, sum(kept) as kept "
        "from trials where status = 'completed' group by all order by all"
    )
    assert rows.to_pylist() == [
        {"data_name": "CIFAR-10", "method_name": "FORCE, rounds=300", "accuracy": 0.565, "kept": 8},
        {"data_name": "CIFAR-10", "method_name": "SNIP", "accuracy": 0.545, "kept": 8},
        {"data_name": "digits", "method_name": "FORCE, rounds=300", "accuracy": 0.525, "kept": 8},
        {"data_name": "digits", "method_name": "SNIP", "accuracy": 0.505, "kept": 8},
    ]
    assert rows.schema.field("kept").type == pa.int64(), "DuckDB's sum is a decimal of 38 digits"


def test_a_trial_of_two_sweeps_is_one_row_and_found_under_both_names(filled: Store) -> None:
    ask = sweep.load(filled).sql
    assert ask("select count(*) as n from trials").to_pylist() == [{"n": 9}]
    by_sweep = ask("select name, count(*) as n from trials, unnest(sweeps) as _(name) group by all order by all")
    assert by_sweep.to_pylist() == [{"name": "all", "n": 9}, {"name": "first", "n": 4}]
    for view in ("trials", "epochs", "layers", "masks"):
        rows = sweep.load(filled, sweep="first").sql(f"select count(distinct trial_id) as n from {view}")
        assert rows.to_pylist() == [{"n": 4}]


def test_all_views_answer_on_a_disk_and_on_s3(store: Store, outcome: Callable[..., Outcome]) -> None:
    store.write(outcome("a" * 16, rounds=(RoundRecord(1, 0.75, 6, 0, 2), RoundRecord(2, 0.5, 4, 0, 2))))
    [row] = (
        sweep.load(store.uri)
        .sql(
            """
        select method_name, t.kept, l.density, l.shape, octet_length(m.packed) > 0 as packed,
          (select max(epoch) from epochs) as epoch, (select min(kept) from rounds) as least
        from trials t join layers l using (trial_id) join masks m using (trial_id, tensor)
        """
        )
        .to_pylist()
    )
    assert row == {
        "method_name": "SNIP", "kept": 4, "density": 0.5, "shape": [2, 4], "packed": True, "epoch": 2, "least": 4,
    }  # fmt: skip


def test_only_the_columns_that_a_query_needs_are_read() -> None:
    asked: list[tuple[str, list[str]]] = []
    everything = [("trials", VIEWS["trials"].schema.names)]

    def read(view: str, names: list[str]) -> pa.Table:
        asked.append((view, names))
        return pa.table({name: pa.nulls(1, VIEWS[view].schema.field(name).type) for name in names})

    run("select avg(test_accuracy) from trials where status = 'completed'", read)
    assert [(view, set(names)) for view, names in asked] == [("trials", {"test_accuracy", "status"})]
    asked.clear()
    run("from trials a join trials b using (trial_id)", read)
    assert asked == everything
    asked.clear()
    run("select trials from trials", read)
    assert asked == everything
    asked.clear()
    run("describe trials", read)
    assert asked == []


def test_types_on_the_page_are_those_of_duckdb(filled: Store) -> None:
    ask = sweep.load(filled).sql
    for name, view in VIEWS.items():
        described = {row["column_name"]: row["column_type"] for row in ask(f"describe {name}").to_pylist()}
        assert described == {column.name: column.sql_type for column in view.columns}


@pytest.mark.parametrize(
    "sql",
    [
        "copy trials to '{folder}/out.csv'",
        "create table x as from trials",
        "insert into trials select * from trials",
        "attach '{folder}/x.db'",
        "export database '{folder}/x'",
        "install httpfs",
        "load '{folder}/x'",
        "set enable_external_access = true",
        "select 1; select 2",
        "",
        "-- nothing",
        "from '{folder}/secret.csv'",
        "from read_csv('{folder}/secret.csv')",
        "from read_text('{folder}/secret.csv')",
        "from read_blob('{folder}/secret.csv')",
        "from read_parquet('{folder}/results/trials/*.parquet')",
        "from glob('{folder}/*')",
        "select getenv('HOME')",
        "from read_csv('http://127.0.0.1:9/x.csv')",
        "from secret",
    ],
)
def test_sql_reaches_no_file_and_writes_nothing(filled: Store, tmp_path: Path, monkeypatch, sql: str) -> None:
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    monkeypatch.chdir(tmp_path)
    secret = pa.table({"x": [1]})  # a variable that DuckDB would take for a table
    before = files(filled), sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="^query: "):
        sweep.load(filled).sql(sql.format(folder=tmp_path))
    assert (files(filled), sorted(tmp_path.rglob("*"))) == before
    assert secret.num_rows == 1


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        ("select acuracy from trials", ["trials.test_accuracy, trials.train_accuracy", "sweep query --schema"]),
        ("select t.methd from trials t", ["columns that come close: trials.method"]),
        ('select seed from trials where method = "snip"', ["text stands in single quotes: 'snip'"]),
        ("from trial", ["the views are: trials, epochs, layers, masks, rounds"]),
        ("selec seed from trials", ["Parser Error"]),
        ("select method::int from trials", ["Could not convert string"]),
        ("drop table trials", ["a statement of the kind DROP; a query only reads"]),
        ("select 1; select 2", ["2 statements; give one, such as: select count(*) from trials"]),
    ],
)
def test_wrong_sql_is_answered_with_duckdbs_words_and_what_helps(filled: Store, sql: str, lines: list[str]) -> None:
    with pytest.raises(InputError) as error:
        sweep.load(filled).sql(sql)
    for line in lines:
        assert line in str(error.value)


def test_an_error_of_the_store_stays_one_of_the_store(filled: Store, monkeypatch) -> None:
    def read(view: str, names: list[str]) -> pa.Table:
        raise StoreError("store: cannot be reached")

    with pytest.raises(StoreError, match="^store: cannot be reached$"):
        run("from trials", read)


def test_columns_of_one_name_get_names_that_differ(filled: Store) -> None:
    rows = sweep.load(filled).sql("select seed as s, kept as s, prunable as s from trials limit 1")
    assert rows.to_pylist() == [{"s": 0, "s_1": 4, "s_2": 8}]
