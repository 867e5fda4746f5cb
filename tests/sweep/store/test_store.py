"""The store on every backend: whole or absent, readable by anyone, honest about damage, old stores included."""

import os
import pickle
import random
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pruning.masks import digest
from pruning.packing import unpack
from sweep.errors import InputError, StoreError
from sweep.records import SCHEMA_VERSION, SweepRecord
from sweep.store import Store
from sweep.store.folding import fold
from sweep.store.verify import verify

from ...conftest import make_outcome
from .helpers import FOLDERS, IDS, contents, file_of, files, rewrite

SWEEP = SweepRecord("mine", "{}", tuple(IDS[:2]), datetime(2026, 1, 1, tzinfo=UTC), "host", "{}")
duckdb = pytest.importorskip("duckdb")
pl = pytest.importorskip("polars")


class TestEveryBackend:
    """What holds on a local disk and on an object store alike."""

    def test_an_absent_store_reads_as_an_empty_one(self, store):
        assert store.trials().num_rows == store.epochs().num_rows == store.masks().num_rows == 0
        assert (store.statuses(), store.completed(), store.outcomes(), store.trial(IDS[0])) == ({}, set(), {}, None)
        assert (store.sweeps(), store.checkpoints(), store.load_checkpoint(IDS[0])) == ([], set(), None)
        assert verify(store) == ([], {"files": 0, "trials": 0})

    def test_what_is_written_is_read_back(self, store):
        written = make_outcome(IDS[0])
        record = store.write(written)
        assert store.trial(IDS[0]) == record
        assert record == replace(
            written.trial, outcome=record.outcome, written=record.written, mask_bytes=record.mask_bytes
        )
        assert store.epochs([IDS[0]]).to_pylist() == [vars(e) for e in written.epochs]
        [mask] = store.masks([IDS[0]]).to_pylist()
        bits = unpack(mask["encoding"], mask["packed"], mask["shape"])
        assert torch.equal(bits, torch.tensor([[True, False, True, False], [False, True, False, True]]))
        assert digest(bits) == mask["hash"]

    def test_the_size_of_the_mask_file_is_told(self, store):
        record = store.write(make_outcome(IDS[0]))
        assert record.mask_bytes == len(store.files.read(f"masks/{IDS[0]}-{record.outcome}.parquet"))

    def test_only_completed_trials_count_as_done(self, store):
        endings = dict(zip(IDS, ("completed", "failed", "interrupted", "diverged"), strict=False))
        for name, status in endings.items():
            store.write(make_outcome(name, status))
        assert store.completed() == {IDS[0]}
        assert store.completed([IDS[1]]) == set()
        assert store.statuses() == endings
        assert store.statuses([IDS[2], IDS[5]]) == {IDS[2]: "interrupted"}

    def test_an_outcome_has_another_name_after_every_rerun(self, store):
        names = []
        for status in ("failed", "failed", "completed", "completed"):
            store.write(make_outcome(IDS[0], status))
            names.append(store.outcomes()[IDS[0]])
        assert len(set(names)) == 4
        assert [name.status for name in names] == ["failed", "failed", "completed", "completed"]

    def test_rows_of_some_trials_are_of_those_alone(self, store):
        for name in IDS[:3]:
            store.write(make_outcome(name))
        assert store.trials(IDS[1:3])["trial_id"].to_pylist() == IDS[1:3]
        assert set(store.epochs([IDS[1]])["trial_id"].to_pylist()) == {IDS[1]}
        assert store.masks([IDS[2], IDS[5]], ["trial_id", "kept"]).to_pylist() == [{"trial_id": IDS[2], "kept": 4}]
        assert store.epochs([]).num_rows == store.masks([]).num_rows == store.trials([]).num_rows == 0

    def test_checkpoints_replace_each_other_and_go_with_the_end_of_their_trial(self, store):
        store.save_checkpoint(IDS[0], b"half")
        store.save_checkpoint(IDS[0], b"most")
        store.save_checkpoint(IDS[1], b"x")
        store.save_checkpoint(IDS[2], b"y")
        assert store.load_checkpoint(IDS[0]) == b"most"
        for name, status in zip(IDS, ("interrupted", "completed", "diverged"), strict=False):
            store.write(make_outcome(name, status))
        assert store.checkpoints() == {IDS[0]}
        store.drop_checkpoint(IDS[0])
        store.drop_checkpoint(IDS[0])
        assert store.checkpoints() == set()

    def test_a_sweep_is_known_by_its_last_launch(self, store):
        store.write_sweep(SWEEP)
        store.write_sweep(replace(SWEEP, trials=tuple(IDS)))
        store.write_sweep(replace(SWEEP, name="0123456789abcdef-01234567"))
        assert store.sweeps() == [
            replace(SWEEP, name="0123456789abcdef-01234567"),
            replace(SWEEP, trials=tuple(IDS)),
        ]
        assert not store.damaged

    def test_damage_is_named_hides_nothing_else_and_is_set_aside(self, store):
        for name in IDS[:3]:
            store.write(make_outcome(name))
        [bad] = [each.name for each in store.loose("trials", {IDS[1]})]
        half = store.files.read(bad)[:100]
        for name, data in {bad: half, "trials/empty.parquet": b"", "trials/text.parquet": b"PAR1 no PAR1"}.items():
            store.files.put(name, data)
        assert set(store.statuses()) == {IDS[0], IDS[2]}
        names = {store.files.path(name) for name in (bad, "trials/empty.parquet", "trials/text.parquet")}
        assert store.damaged.keys() == names
        assert sorted(store.set_aside()) == sorted(f"damaged/{name}" for name in (bad, *list_of("empty", "text")))
        assert store.files.read(f"damaged/{bad}") == half
        assert not store.damaged
        store.write(make_outcome(IDS[1]))
        assert Store(store.uri).completed() == set(IDS[:3])
        assert verify_names(store) == set()

    def test_a_pickled_store_is_the_same_store(self, store):
        store.write(make_outcome(IDS[0]))
        assert pickle.loads(pickle.dumps(store)).completed() == {IDS[0]}

    def test_it_can_be_checked_before_there_is_anything(self, store):
        store.check_writable()
        assert store.names("trials") == []


def list_of(*names: str) -> list[str]:
    return [f"trials/{name}.parquet" for name in names]


def verify_names(store: Store) -> set[str]:
    """Files that are said to be unreadable or foreign: these trials are made up, and fail other checks."""
    return {problem.file for problem in verify(store)[0] if "trial " not in problem.what}


def test_looking_at_an_absent_folder_leaves_it_absent(local):
    local.trials(), local.sweeps(), local.checkpoints(), verify(local)
    local.check_writable()
    assert not local.local.exists()


def test_half_written_files_are_never_seen(local):
    local.write(make_outcome(IDS[0]))
    for folder in FOLDERS:
        (local.local / folder / f".{IDS[1]}.parquet.123.tmp").write_bytes(b"PAR1 half")
    assert set(local.statuses()) == {IDS[0]}
    assert contents(local)["masks"].total() == 1
    assert not local.damaged
    assert verify_names(local) == set()


@pytest.mark.slow
def test_a_writer_that_dies_leaves_whole_files_only(local, forks):
    """Kill -9 in the middle of writing many trials: all that can be seen can be read."""
    code = """
for i in range(10**6):
    Store(folder).write(make_outcome(f"{i:016x}"))
"""
    writer = forks.start(code, folder=str(local.local))
    while len(local.completed()) < 20:
        assert writer.is_alive
    writer.kill()
    names = local.completed()
    assert local.masks(names).num_rows == len(names)
    assert local.epochs(names).num_rows == 2 * len(names)
    assert not local.damaged


def every_file(store: Store) -> dict[str, bytes]:
    return files(store, *FOLDERS, "sweeps")


def fill(store: Store) -> None:
    """A fold and a file of every kind of record, and a sweep."""
    for name in IDS[:2]:
        store.write(make_outcome(name))
    store.write_sweep(SWEEP)
    fold(store)
    store.write(make_outcome(IDS[2]))


def test_every_file_says_its_schema_version(local):
    fill(local)
    found = every_file(local)
    assert len(found) == 7  # a fold and a file of three kinds, and a sweep
    for name, data in found.items():
        metadata = pq.ParquetFile(pa.BufferReader(data)).schema_arrow.metadata
        assert metadata[b"sweep.schema"] == str(SCHEMA_VERSION).encode(), name
        assert metadata[b"sweep.record"].endswith(b"Record"), name


def test_a_file_of_a_newer_version_is_refused_by_name_in_every_folder(local):
    fill(local)
    for name, data in every_file(local).items():
        rows = pq.ParquetFile(pa.BufferReader(data)).read()
        pq.write_table(rows.replace_schema_metadata({"sweep.schema": "99"}), local.local / name)
        with pytest.raises(
            InputError, match=r"written by a newer version of sweep \(schema 99.*upgrade sweep"
        ) as error:
            contents(local), local.sweeps()
        assert name in str(error.value)
        (local.local / name).write_bytes(data)
    assert contents(local)["trials"].total() == 3


@pytest.mark.parametrize("version", ["1", "2"])
class TestAnOlderStore:
    """Files named by trial alone, without the columns that came later."""

    @pytest.fixture
    def older(self, local, version):
        for name, status in zip(IDS, ("completed", "failed"), strict=False):
            local.write(make_outcome(name, status))
        for path in list(local.local.rglob("*.parquet")):
            rows = pq.ParquetFile(path).read()
            later = {"outcome", "written", "attempts", "gradient_norm", "trained_macs"} & set(rows.column_names)
            metadata = {**rows.schema.metadata, b"sweep.schema": version.encode()}
            pq.write_table(rows.drop_columns(list(later)).replace_schema_metadata(metadata), path)
            path.rename(path.with_name(path.name[:16] + ".parquet"))
        return local

    def test_is_read(self, older):
        assert older.statuses() == {IDS[0]: "completed", IDS[1]: "failed"}
        assert (older.trial(IDS[0]).outcome, older.trial(IDS[0]).attempts) == (None, None)
        assert older.epochs([IDS[0]]).num_rows == 2
        assert older.masks().num_rows == 2
        assert older.outcomes() == {IDS[0]: ("completed", None), IDS[1]: ("failed", None)}
        assert not older.damaged
        assert verify_names(older) == set()

    def test_gives_way_to_reruns(self, older):
        older.write(make_outcome(IDS[0], "failed"))
        older.write(make_outcome(IDS[1], "completed"))
        assert older.completed() == {IDS[0], IDS[1]}
        assert older.masks().num_rows == 2
        for folder in FOLDERS:
            assert [bool(loose.outcome) for loose in older.loose(folder)] == [False, True]

    def test_is_folded(self, older):
        before = contents(older)
        fold(older)
        assert contents(older) == before
        assert not any(older.loose(folder) for folder in FOLDERS)
        older.write(make_outcome(IDS[0], "completed", seed=7))
        assert older.trial(IDS[0]).seed == 7
        assert older.epochs().num_rows == 4


def test_pandas_polars_and_duckdb_read_trials_without_us_folded_or_not(local):
    for seed, name in enumerate(IDS[:3]):
        local.write(make_outcome(name, seed=seed, test_accuracy=0.8 + 0.1 * seed / 2))
        if seed == 1:
            fold(local)
    folder = local.local / "trials"
    assert len(list(folder.iterdir())) == 2
    by_pandas, by_polars = pd.read_parquet(folder), pl.read_parquet(folder / "*.parquet")
    query = f"select method, sparsity, avg(test_accuracy) as mean from '{folder}/*.parquet' group by all"
    assert by_pandas["test_accuracy"].mean() == pytest.approx(0.85, rel=1e-12)
    assert by_polars["test_accuracy"].mean() == pytest.approx(0.85, rel=1e-12)
    assert duckdb.sql(query).fetchall() == [("snip", 0.5, pytest.approx(0.85, rel=1e-12))]
    assert by_pandas["rounds"].iloc[0].tolist() == []
    assert str(by_pandas["written"].dtype) == "datetime64[us, UTC]"


@pytest.mark.skipif(os.getuid() != 0, reason="takes root, who becomes somebody without rights")
def test_a_file_that_is_not_ours_to_read_is_an_error_and_no_damage(forks):
    """Whatever keeps us from a file that is whole, it must not be set aside."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store = Store(folder)
        store.write(make_outcome(IDS[0]))
        path = file_of(store, "trials", IDS[0])
        path.chmod(0)
        code = """
os.seteuid(65534)
store = Store(folder)
try:
    store.trials()
except StoreError as error:
    result = str(error), store.damaged
os.seteuid(0)
"""
        said, damaged = forks.start(code, folder=folder).result()
    assert said == f"store: cannot read trials/{path.name} of {folder}: Permission denied"
    assert damaged == {}


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 300])
def test_what_cannot_be_a_sweeps_name_is_refused(local, name):
    with pytest.raises((ValueError, StoreError)):
        local.write_sweep(replace(SWEEP, name=name))
    assert local.sweeps() == []
    assert not [path for path in local.local.parent.rglob("*") if path.is_file()]


def test_a_sweep_under_another_name_is_damaged_and_so_is_one_whose_name_leads_elsewhere(local):
    local.write_sweep(SWEEP)
    path = local.local / "sweeps/mine.parquet"
    (path.with_name("other.parquet")).write_bytes(path.read_bytes())
    assert local.sweeps() == [SWEEP]
    assert list(local.damaged.values()) == ["its name does not match: it holds another sweep"]
    rewrite(path, lambda rows: [rows[0] | {"name": "../mine"}])
    assert local.sweeps() == []
    assert local.damaged[str(path)] == "not a file of this store: a name is invalid"


@pytest.mark.slow
def test_bits_flipped_anywhere_never_go_unnoticed_where_they_change_a_record(local, trials):
    """One at a time: the file is damaged, or verify has something to say, and nothing crashes."""
    local.write(trials[0])
    draw, whole = random.Random(0), contents(local)
    for folder in FOLDERS:
        path = file_of(local, folder, trials[0].trial.trial_id)
        data = path.read_bytes()
        for _ in range(40):
            place = draw.randrange(len(data))
            path.write_bytes(data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :])
            found = Store(local.local)
            if contents(found) != whole:
                assert verify(found)[0], (folder, place)
        path.write_bytes(data)
    assert verify(local)[0] == []
