"""The tables of stores: one row a trial, whatever was stored of it, and every column with its meaning."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import torch

import sweep
from pruning.packing import unpack
from sweep.errors import InputError
from sweep.query.views import MEANING, VIEWS
from sweep.records import Outcome, RoundRecord, SweepRecord
from sweep.store import Store
from sweep.store.folding import fold

MakeOutcome = Callable[..., Outcome]
A, B, C = (letter * 16 for letter in "abc")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_store_comes_back_as_tables_on_a_disk_and_on_s3(store: Store, outcome: MakeOutcome) -> None:
    rounds = (RoundRecord(1, 0.75, 6, 0, 2), RoundRecord(2, 0.5, 4, 1, 3, 0.25))
    names = {"method": "force", "method_label": "force rounds=2", "architecture_label": "resnet50"}
    written = store.write(outcome(A, rounds=rounds, **names))
    store.write(outcome(B, "failed", seed=1, test_accuracy=None, data="cifar10", data_encoding="JPEG"))
    store.write_sweep(SweepRecord("first", "{}", (A, B), NOW))
    store.write_sweep(SweepRecord("second", "{}", (B, C), NOW))
    tables = sweep.load(store.uri)
    computed = {
        "data_name": "digits", "architecture_name": "ResNet-50", "method_name": "FORCE, rounds=2",
        "sweeps": ["first", "test"], "at_chance": False, "other_results": 0,
    }  # fmt: skip
    assert {row["trial_id"]: row for row in tables.trials.to_pylist()}[A] == {
        **{key: value for key, value in vars(written).items() if key != "rounds"}, **computed,
    }  # fmt: skip
    by_id = {row["trial_id"]: row for row in tables.trials.to_pylist()}
    assert (by_id[B]["data_name"], by_id[B]["sweeps"]) == ("CIFAR-10 (JPEG)", ["first", "second", "test"])
    assert (by_id[B]["status"], by_id[B]["at_chance"]) == ("failed", None)
    assert set(by_id) == {A, B}, "a trial that has not run has no row"
    assert tables.epochs.select(["trial_id", "epoch"]).sort_by("trial_id").to_pylist() == [
        {"trial_id": trial, "epoch": epoch} for trial in (A, B) for epoch in (1, 2)
    ]
    assert [row for row in tables.layers.to_pylist() if row["trial_id"] == A] == [
        {key: list(value) if key == "shape" else value for key, value in vars(outcome(A).masks[0]).items()
         if key not in ("encoding", "packed", "hash")}
    ]  # fmt: skip
    assert tables.rounds.to_pylist() == [{"trial_id": A, **vars(each)} for each in rounds]
    row = tables.masks.filter(tables.masks["trial_id"].to_numpy() == A).to_pylist()[0]
    mask = unpack(row["encoding"], row["packed"], row["shape"])
    assert torch.equal(mask, torch.tensor([[True, False, True, False], [False, True, False, True]]))


def test_of_a_trial_that_ran_again_only_the_outcome_that_counts_is_there(local: Store, outcome: MakeOutcome) -> None:
    local.write(outcome(A, test_accuracy=0.5))
    earlier = {path: path.read_bytes() for path in local.local.rglob(f"{A}*.parquet")}
    local.write(outcome(A, test_accuracy=0.75))
    for path, held in earlier.items():  # as in a store whose writer was killed before it deleted them
        path.write_bytes(held)
    tables = sweep.load(local)
    assert tables.trials["test_accuracy"].to_pylist() == [0.75]
    assert [len(table) for table in (tables.epochs, tables.layers, tables.masks)] == [2, 1, 1]


def test_a_folded_store_reads_as_before(local: Store, outcome: MakeOutcome) -> None:
    for number in range(3):
        local.write(outcome(f"{number:016x}", seed=number))
    before = sweep.load(local)
    fold(local)
    after = sweep.load(Store(local.uri))
    assert after.trials.equals(before.trials)
    assert after.layers.sort_by("trial_id").equals(before.layers.sort_by("trial_id"))


def test_one_sweep_has_its_trials_in_all_tables_and_still_names_the_others(local: Store, outcome: MakeOutcome) -> None:
    for trial in (A, B, C):
        local.write(outcome(trial, sweep="other", rounds=(RoundRecord(1, 0.5, 4, 0, 4),)))
    local.write_sweep(SweepRecord("mine", "{}", (A, C), NOW))
    tables = sweep.load(local, sweep="mine")
    for table in (tables.trials, tables.epochs, tables.layers, tables.masks, tables.rounds):
        assert set(table["trial_id"].to_pylist()) == {A, C}
    assert tables.trials["sweeps"].to_pylist() == [["mine", "other"]] * 2
    with pytest.raises(InputError, match=r"no sweep named 'mime'; it holds: mine, other$"):
        sweep.load(local, sweep="mime")


def test_a_trial_of_two_stores_is_taken_from_the_one_where_it_completed(tmp_path, outcome: MakeOutcome) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    one.write(outcome(A, "failed", test_accuracy=None, started=NOW))
    one.write(replace(outcome(B, test_accuracy=0.25, sweep="one"), epochs=()))
    other.write(outcome(A, sweep="two"))
    tables = sweep.load(one.uri, other)
    rows = tables.trials.select(["trial_id", "status", "sweeps"]).to_pylist()
    assert sorted(map(str, rows)) == sorted(map(str, [
        {"trial_id": A, "status": "completed", "sweeps": ["test", "two"]},
        {"trial_id": B, "status": "completed", "sweeps": ["one"]},
    ]))  # fmt: skip
    assert set(tables.epochs["trial_id"].to_pylist()) == {A}
    assert len(tables.layers) == 2


@pytest.mark.parametrize(("accuracy", "expected"), [(0.145, True), (0.1451, False), (None, None)])
def test_a_run_at_chance_is_marked_by_the_rule_of_the_report(local: Store, outcome: MakeOutcome, accuracy, expected):
    local.write(outcome(A, test_accuracy=accuracy))
    assert sweep.load(local).trials["at_chance"].to_pylist() == [expected]


def test_an_empty_store_has_empty_tables_and_an_absent_one_is_an_error(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    tables = sweep.load(tmp_path / "empty")
    for name, view in VIEWS.items():
        assert getattr(tables, name).schema.equals(view.schema, check_metadata=True)
        assert len(getattr(tables, name)) == 0
    with pytest.raises(InputError, match="absent does not exist"):
        sweep.load(tmp_path / "absent")


def test_every_field_of_every_table_carries_its_meaning(local: Store, outcome: MakeOutcome) -> None:
    local.write(outcome(A))
    tables = sweep.load(local)
    for name, view in VIEWS.items():
        table = getattr(tables, name)
        assert table.schema.names == [column.name for column in view.columns]
        for field in table.schema:
            meaning = field.metadata[MEANING.encode()].decode()
            assert meaning.endswith(".") and len(meaning) > 5, field.name


def test_a_damaged_file_is_skipped_with_a_warning(local: Store, outcome: MakeOutcome) -> None:
    local.write(outcome(A))
    local.write(outcome(B))
    [path] = (local.local / "trials").glob(f"{A}*")
    path.write_bytes(b"damaged")
    tables = sweep.load(local)
    with pytest.warns(UserWarning, match=rf"skipped, cannot read .*{A}"):
        trials = tables.trials
    assert trials["trial_id"].to_pylist() == [B]
    assert repr(tables) == f"<Tables of {local.name}: trials, epochs, layers, masks, rounds>"


def test_importing_sweep_loads_no_library() -> None:
    code = "import sys, sweep; print({'torch', 'ray', 'mlflow', 'pyarrow', 'numpy', 'duckdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert "load" in dir(sweep)
    with pytest.raises(AttributeError, match="module 'sweep' has no attribute 'lode'"):
        sweep.lode  # noqa: B018
