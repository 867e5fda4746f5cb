"""The store on a local folder and on S3: whole or absent, readable by anyone, honest about damage."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pruning.masks import digest, prunable
from pruning.packing import entropy_bytes, pack, unpack
from sweep.errors import InputError
from sweep.records import SCHEMA_VERSION, MaskRecord, Outcome, schema
from sweep.store import Store
from training import models

IDS = [letter * 16 for letter in "abc"]


def only(folder: Path, trial_id: str) -> Path:
    """The one file of a trial there."""
    [path] = folder.glob(f"{trial_id}-*.parquet")
    return path


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def store(request, tmp_path, monkeypatch):
    if request.param == "local":
        return Store(tmp_path / "results")
    for key, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{key}", value)
    options = request.getfixturevalue("s3")
    store = Store(f"s3://bucket/{tmp_path.name}?{options}")
    store.files.fs.create_dir("bucket")
    return store


def test_what_is_written_is_read_back(store, outcome):
    written = outcome(IDS[0])
    record = store.write(written)
    assert store.trial(IDS[0]) == record
    assert record.mask_bytes and record.mask_bytes > 0
    assert store.epochs([IDS[0]]).to_pylist() == [vars(e) for e in written.epochs]
    [mask] = store.masks([IDS[0]]).to_pylist()
    bits = unpack(mask["encoding"], mask["packed"], mask["shape"])
    assert torch.equal(bits, torch.tensor([[True, False, True, False], [False, True, False, True]]))
    assert digest(bits) == mask["hash"]


def test_only_completed_trials_count_as_done(store, outcome):
    for name, status in zip(IDS, ("completed", "failed", "interrupted"), strict=True):
        store.write(outcome(name, status))
    assert store.completed() == {IDS[0]}
    assert store.completed([IDS[1]]) == set()
    assert store.statuses() == dict(zip(IDS, ("completed", "failed", "interrupted"), strict=True))


def test_a_new_outcome_replaces_a_failed_one(store, outcome):
    store.write(outcome(IDS[0], "failed", error_type="X"))
    store.write(outcome(IDS[0], "completed"))
    assert store.statuses() == {IDS[0]: "completed"}
    assert store.trials().num_rows == 1


def test_an_absent_store_reads_as_an_empty_one_and_stays_absent(tmp_path):
    store = Store(tmp_path / "none")
    assert store.trials().num_rows == store.epochs().num_rows == store.masks().num_rows == 0
    assert store.statuses() == {}
    assert not (tmp_path / "none").exists()


def test_a_damaged_file_is_named_and_hides_no_other(tmp_path, outcome):
    store = Store(tmp_path)
    for name in IDS:
        store.write(outcome(name))
    path = only(tmp_path / "trials", IDS[1])
    path.write_bytes(path.read_bytes()[:100])
    (tmp_path / "trials" / "empty.parquet").touch()
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "trials" / "foreign.parquet")
    assert set(store.statuses()) == {IDS[0], IDS[2]}
    assert {os.path.basename(name) for name in store.damaged} == {
        path.name,
        "empty.parquet",
        "foreign.parquet",
    }


def test_half_written_files_are_never_seen(tmp_path, outcome):
    store = Store(tmp_path)
    store.write(outcome(IDS[0]))
    (tmp_path / "trials" / f".{IDS[1]}.parquet.123.tmp").write_bytes(b"PAR1 half")
    assert set(store.statuses()) == {IDS[0]}
    assert not store.damaged


def test_a_writer_that_dies_leaves_whole_files_only(tmp_path):
    """Kill -9 in the middle of writing many trials: all that can be seen can be read."""
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from conftest import make_outcome
from sweep.store import Store
store = Store({str(tmp_path)!r})
for i in range(10**6):
    store.write(make_outcome(f"{{i:016x}}"))
    print(i, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 20:
            break
    writer.kill()
    writer.wait()
    writer.stdout.close()
    store = Store(tmp_path)
    assert len(store.completed()) >= 21
    assert store.masks(store.completed()).num_rows == len(store.completed())
    assert store.epochs(store.completed()).num_rows == 2 * len(store.completed())
    assert not store.damaged


def test_a_store_of_a_newer_version_is_refused(tmp_path, outcome):
    store = Store(tmp_path)
    store.write(outcome(IDS[0]))
    path = only(tmp_path / "trials", IDS[0])
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"sweep.schema": "99"}), path)
    with pytest.raises(InputError, match=r"written by a newer version of sweep \(schema 99.*upgrade sweep"):
        store.trials()


def test_an_older_file_without_a_later_column_is_readable(tmp_path, outcome):
    store = Store(tmp_path)
    store.write(outcome(IDS[0]))
    path = only(tmp_path / "trials", IDS[0])
    pq.write_table(pq.read_table(path).drop_columns(["gradient_norm"]), path)
    assert store.trial(IDS[0]).gradient_norm is None


@pytest.mark.parametrize("uri", ["ftp://host/x", "s3:///", "nope://x"])
def test_a_uri_of_no_known_kind_is_refused(uri):
    with pytest.raises(InputError, match="use a folder, s3://bucket/prefix or gs://bucket/prefix"):
        Store(uri)


def test_a_file_in_the_stores_place_is_refused(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder, with --set store=DIR"):
        Store(tmp_path / "results")


def test_pandas_polars_and_duckdb_read_the_store_without_us(tmp_path, outcome):
    store = Store(tmp_path)
    for seed, name in enumerate(IDS):
        store.write(outcome(name, seed=seed, test_accuracy=0.8 + 0.1 * seed / 2))
    by_pandas = pd.read_parquet(tmp_path / "trials")
    by_polars = pl.read_parquet(tmp_path / "trials" / "*.parquet")
    query = f"select method, sparsity, avg(test_accuracy) as mean from '{tmp_path}/trials/*.parquet' group by all"
    assert by_pandas["test_accuracy"].mean() == pytest.approx(0.85, rel=1e-12)
    assert by_polars["test_accuracy"].mean() == pytest.approx(0.85, rel=1e-12)
    assert duckdb.sql(query).fetchall() == [("snip", 0.5, pytest.approx(0.85, rel=1e-12))]
    assert by_pandas["rounds"].iloc[0].tolist() == []


def resnet50_masks(density):
    """Masks of a ResNet-50's shapes, drawn at random: no weight is made."""
    with torch.device("meta"):
        weights = prunable(models.build("resnet50", classes=10))
    draw = torch.Generator().manual_seed(0)
    return {name: torch.rand(weight.shape, generator=draw) < density for name, weight in weights.items()}


def mask_record(trial_id, position, name, mask):
    """A record with every column filled, as in a trial."""
    kept, total, (encoding, packed) = int(mask.count_nonzero()), mask.numel(), pack(mask)
    effective = kept - position
    return MaskRecord(
        trial_id, name, position, tuple(mask.shape), total, kept, kept / total, effective, encoding, packed, digest(mask),
        effective / total, kept, effective, kept * 64, total * 64,
    )  # fmt: skip


@pytest.mark.parametrize("sparsity", [0.9, 0.99, 0.995])
def test_a_resnet50s_mask_file_is_within_a_tenth_of_the_entropy_bound(tmp_path, outcome, sparsity):
    masks = resnet50_masks(1 - sparsity)
    records = tuple(mask_record(IDS[0], i, *named) for i, named in enumerate(masks.items()))
    written = Store(tmp_path).write(Outcome(outcome(IDS[0]).trial, masks=records))
    assert written.mask_bytes == only(tmp_path / "masks", IDS[0]).stat().st_size
    assert written.mask_bytes <= 1.10 * sum(map(entropy_bytes, masks.values()))
    for row in Store(tmp_path).masks().to_pylist():
        assert torch.equal(unpack(row["encoding"], row["packed"], row["shape"]), masks[row["tensor"]])


def test_pandas_polars_and_duckdb_read_mask_files_without_us(tmp_path, outcome):
    store = Store(tmp_path)
    records = [mask_record(IDS[0], i, f"{i}.weight", torch.rand(9, 5, 3, 3) < 0.1) for i in range(5)]
    store.write(Outcome(outcome(IDS[0]).trial, masks=tuple(records)))
    path = only(tmp_path / "masks", IDS[0])
    expected = [vars(record) | {"shape": [9, 5, 3, 3]} for record in records]
    by_duckdb = duckdb.sql(f"select * from '{path}'")
    rows = [dict(zip(by_duckdb.columns, row, strict=True)) for row in by_duckdb.fetchall()]
    by_pandas = pd.read_parquet(path).to_dict("records")
    assert rows == pl.read_parquet(path).to_dicts() == expected
    assert [row | {"shape": row["shape"].tolist()} for row in by_pandas] == expected


def test_a_mask_file_says_what_it_is_and_its_types_without_arrows_copy_of_the_schema(tmp_path, outcome):
    Store(tmp_path).write(outcome(IDS[0]))
    file = pq.ParquetFile(only(tmp_path / "masks", IDS[0]))
    assert file.metadata.metadata == {b"sweep.schema": str(SCHEMA_VERSION).encode(), b"sweep.record": b"MaskRecord"}
    assert [(f.name, f.type, f.nullable) for f in file.schema_arrow if f.name != "shape"] == [
        (f.name, f.type, f.nullable) for f in schema(MaskRecord) if f.name != "shape"
    ]


def test_mask_files_of_earlier_versions_are_read(tmp_path, outcome):
    store = Store(tmp_path)
    store.write(outcome(IDS[0]))
    path = only(tmp_path / "masks", IDS[0])
    [row] = store.masks().to_pylist()
    older = pa.Table.from_pylist([row | {"encoding": "gaps", "packed": bytes([0, 1, 2, 1])}], schema(MaskRecord))
    dictionaries = [name for name in older.column_names if name != "packed"]
    pq.write_table(older, path, compression="zstd", compression_level=3, use_dictionary=dictionaries)
    [mask] = store.masks().to_pylist()
    assert digest(unpack(mask["encoding"], mask["packed"], mask["shape"])) == row["hash"]
