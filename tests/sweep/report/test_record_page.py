import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from sweep.cli.print import trials
from sweep.records import MaskRecord, Outcome, RoundRecord, TrialRecord
from sweep.report.record_page import SECTIONS, START_AND_END, field_text, record_fields, some_rounds
from sweep.store import Store

from .conftest import mask, trial

ELSEWHERE = {  # under another heading or in a table of its own
    *("architecture", "architecture_options", "method", "method_options", "config", "rounds"),
}


def test_every_column_of_the_record_is_under_exactly_one_heading() -> None:
    told = [name for columns in SECTIONS.values() for name in columns]
    told += [name for pair in START_AND_END.items() for name in pair if name]
    assert len(told) == len(set(told))
    assert set(told) == {field.name for field in dataclasses.fields(TrialRecord)} - ELSEWHERE


def test_start_and_end_stand_side_by_side() -> None:
    record = trial("rigl", 0.99, 0, 0.8, effective_sparsity=0.995, final_effective_sparsity=0.991, macs_dense=4000)
    assert record_fields(record)["mask, before and after"] == [
        ("effective_sparsity", "0.995", "0.991"),
        ("macs_dense", "4,000", ""),
    ]


def test_what_was_not_measured_is_not_shown_and_neither_is_an_empty_heading() -> None:
    found = record_fields(trial("snip", 0.9, 0, 0.8))
    assert list(found) == ["trial", "config", "outcome"]
    assert found["outcome"] == [("test_accuracy", "0.8"), ("epochs", "5")]
    assert found["config"] == [("data", "path=here"), ("training", "epochs=5")]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("mask_hash", "0123456789abcdef0123", "0123456789abcdef0123"),
        ("disconnected", False, "no"),
        ("kept", 270896, "270,896"),
        ("training_flops", 123456789.0, "123,456,789"),
        ("training_flops", 1.23456789e17, "1.23457e+17"),
        ("gradient_norm", 0.123456789, "0.123457"),
        ("versions", json.dumps({"python": "3.12", "torch": "2.9"}), "python 3.12, torch 2.9"),
    ],
)
def test_values_are_written_for_people(name: str, value: Any, shown: str) -> None:
    assert field_text(name, value) == shown


def test_of_many_rounds_the_first_and_the_last_are_among_those_shown() -> None:
    rounds = [RoundRecord(number, 0.5, 1, 0, 0) for number in range(1, 301)]
    assert [one.round for one in some_rounds(rounds)] == [1, 44, 86, 129, 172, 215, 257, 300]
    assert some_rounds(rounds[:8]) == rounds[:8]


def shown(store: Store, record: TrialRecord) -> str:
    out = io.StringIO()
    trials.trial(Console(file=out, width=200), store, record)
    return out.getvalue()


def test_a_trial_is_shown_with_its_rounds_layers_and_where_each_layer_started(tmp_path: Path) -> None:
    rounds = tuple(RoundRecord(number, 1 / number, 100, number, 1, 2.5) for number in range(1, 31))
    record = trial("force", 0.99, 0, 0.8, rounds=rounds, training_flops_share=0.02, host="[here]")
    store = Store(tmp_path)
    store.write(Outcome(record, masks=(mask(record.trial_id, 0, 10, 5, start=20),)))
    lines = shown(store, record).splitlines()
    for line in ("cost", "training_flops_share  0.02", "rounds, 8 of 30", "layers, as tested", "host  [here]"):
        assert line in [line.rstrip() for line in lines]
    (heading,) = (line.split() for line in lines if line.startswith("round "))
    assert heading == ["round", "density", "kept", "revived", "lost", "force", "objective"]
    (layer,) = (line.split() for line in lines if line.startswith("layer0"))
    assert layer == ["layer0.weight", "1000", "1,000", "10", "0.01", "5", "20"]
    assert len(lines) < 60


def test_where_training_started_is_not_shown_of_a_mask_that_never_moved(tmp_path: Path) -> None:
    record = trial("force", 0.99, 0, 0.8)
    store = Store(tmp_path)
    store.write(Outcome(record, masks=tuple(mask(record.trial_id, i, 10, 5, start=10) for i in range(2))))
    assert "start kept" not in shown(store, record)
    assert trials.trial_json(store, record)["layers"][1]["start_kept"] == 10


def test_a_trial_of_a_file_from_before_there_were_these_columns_is_shown(tmp_path: Path) -> None:
    new = {field.name for field in dataclasses.fields(TrialRecord) if field.name.startswith("final_")}
    new |= {"ablation", "disconnected", "speedup", "passes", "training_flops", "training_flops_share"}
    record = trial("force", 0.99, 0, 0.8, kept=10)
    store = Store(tmp_path)
    store.write(Outcome(record, masks=(mask(record.trial_id, 0, 10, 5),)))
    without(tmp_path / "trials", new)
    without(tmp_path / "masks", {field.name for field in dataclasses.fields(MaskRecord)[-5:]})
    found = store.trial(record.trial_id)
    assert found is not None
    assert "test_accuracy  0.8" in shown(store, found)
    assert "None" not in shown(store, found)


def without(folder: Path, columns: set[str]) -> None:
    """Rewrite the folder's files as if these columns had never been thought of."""
    for path in folder.glob("*.parquet"):
        rows: pa.Table = pq.read_table(path)
        pq.write_table(rows.drop_columns(sorted(columns)), path)
