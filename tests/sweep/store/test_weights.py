"""Final weights in the store: kept values of masked tensors and all others, on every backend, folded, verified."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pruning.packed_weights import DTYPES, pack_weights, unpack_weights
from pruning.packing import unpack
from sweep.config.compute import Compute
from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.records import Outcome
from sweep.store import Store
from sweep.store.folding import fold
from sweep.store.verify import verify
from sweep.trial.run import run_trial
from sweep.trial.settings import RunSettings

from ...conftest import make_outcome
from .conftest import DIGITS, QUICK
from .helpers import IDS, file_of, rewrite


@pytest.fixture(scope="module")
def kept() -> Outcome:
    """A real trial whose final weights are kept."""
    [trial] = expand(read_sweep(DIGITS, [*QUICK, "grid.method=[snip]", "training.epochs=1"]))
    return run_trial(trial, settings=RunSettings(compute=Compute(keep_weights="final")))


@pytest.mark.parametrize("name", DTYPES)
def test_values_of_every_dtype_come_back_to_the_bit(name):
    tensor = torch.randint(0, 2, (3, 1, 4)).to(DTYPES[name])
    mask = torch.rand(3, 1, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    for chosen in (None, mask, torch.zeros_like(mask)):
        dtype, packed = pack_weights(tensor, chosen)
        expected = tensor if chosen is None else tensor * chosen.to(tensor.dtype)
        assert torch.equal(unpack_weights(dtype, packed, (3, 1, 4), chosen), expected)


def test_scalars_and_other_orders_in_memory_come_back():
    scalar, images = torch.tensor(7), torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert torch.equal(unpack_weights(*pack_weights(scalar), ()), scalar)
    mask = torch.rand(images.shape) < 0.5
    assert torch.equal(unpack_weights(*pack_weights(images, mask), images.shape, mask), images * mask)


def test_bytes_of_another_number_or_kind_are_refused():
    with pytest.raises(ValueError, match="7 bytes, but 2 values of float32 take 8"):
        unpack_weights("float32", b"1234567", (2,))
    with pytest.raises(ValueError, match="unknown dtype 'float3'"):
        unpack_weights("float3", b"", (0,))


def test_a_trial_keeps_its_weights_only_where_asked(trials, kept):
    assert not any(outcome.weights or outcome.trial.kept_weights_hash for outcome in trials)
    assert [w.tensor for w in kept.weights if w.masked] == [mask.tensor for mask in kept.masks]
    others = [w for w in kept.weights if not w.masked]
    assert {"bias", "weight", "running_mean", "running_var", "num_batches_tracked"} == {
        w.tensor.rpartition(".")[2] for w in others
    }
    values = sum(len(w.values) for w in kept.weights if w.masked)
    assert values == 4 * kept.trial.kept  # float32: four bytes a kept weight


def test_numpy_alone_puts_the_kept_values_back(kept):
    for mask, weights in zip(kept.masks, [w for w in kept.weights if w.masked], strict=True):
        kept_places = unpack(mask.encoding, mask.packed, mask.shape).numpy()
        full = np.zeros(weights.shape, weights.dtype)
        full[kept_places] = np.frombuffer(weights.values, weights.dtype)
        assert np.count_nonzero(full) == mask.kept
        assert not full[~kept_places].any()


class TestEveryBackend:
    """What holds on a local disk and on an object store alike."""

    def test_weights_are_stored_beside_the_masks_folded_and_read_back(self, store, kept):
        record = store.write(kept)
        name = f"weights/{record.trial_id}-{record.outcome}.parquet"
        assert record.weights_bytes == len(store.files.read(name))
        before = store.weights(record.trial_id)
        assert [row["tensor"] for row in before.to_pylist()] == [w.tensor for w in kept.weights]
        store.write(make_outcome(IDS[0]))
        assert store.weights(IDS[0]).num_rows == 0
        fold(store)
        assert store.loose("weights") == []
        assert Store(store.uri).weights(record.trial_id).equals(before)

    def test_a_later_outcome_takes_the_place_of_the_weights_too(self, store, kept):
        store.write(kept)
        again = store.write(kept)
        assert [file.outcome for file in store.loose("weights")] == [again.outcome]


@pytest.fixture(scope="module")
def real(kept: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("weights") / "results")
    store.write(kept)
    return store.local


@pytest.fixture
def spoiled(real: Path, tmp_path: Path) -> Store:
    """A copy to spoil."""
    return Store(shutil.copytree(real, tmp_path / "results"))


def problems(store: Store) -> list[str]:
    return [problem.what for problem in verify(Store(store.uri))[0]]


def test_verify_is_content_with_kept_weights_and_counts_them(spoiled):
    assert verify(spoiled) == ([], {"files": 4, "trials": 1, "networks' final weights": 1})
    fold(spoiled)
    assert verify(Store(spoiled.uri)) == ([], {"files": 4, "trials": 1, "networks' final weights": 1})


def first_masked(rows):
    return next(row for row in rows if row["masked"])


def flip(rows):
    row = first_masked(rows)
    row["values"] = bytes([row["values"][0] ^ 1]) + row["values"][1:]


def flip_and_hash(rows):
    flip(rows)
    row = first_masked(rows)
    text = f"{row['dtype']} {','.join(map(str, row['shape']))}\0".encode()
    row["hash"] = hashlib.sha256(text + row["values"]).hexdigest()


FAULTS = [
    (flip, "its weights have another hash than they were stored with"),
    (flip_and_hash, "are not those that it ended with"),
    (lambda rows: rows[:-1], "tensors that are there are not those that it ended with"),
    (lambda rows: first_masked(rows).update(values=first_masked(rows)["values"][4:]), "bytes, but"),
    (lambda rows: rows[0].update(dtype="float3"), "its weights cannot be unpacked: unknown dtype 'float3'"),
    (lambda rows: first_masked(rows).update(tensor="other.weight"), "only its kept weights are stored, and it has no"),
    (lambda rows: first_masked(rows).update(shape=[1, 2]), "its weights have the shape [1, 2], and its mask ["),
]


@pytest.mark.parametrize(("spoil", "what"), FAULTS, ids=[what for _, what in FAULTS])
def test_verify_names_what_is_wrong_with_weights(spoiled, kept, spoil, what):
    rewrite(file_of(spoiled, "weights", kept.trial.trial_id), spoil)
    assert any(what in problem for problem in problems(spoiled))


def test_verify_names_weights_that_are_gone_or_damaged_with_the_command_that_makes_them_again(spoiled, kept):
    name = kept.trial.trial_id
    path = file_of(spoiled, "weights", name)
    path.write_bytes(path.read_bytes()[:-100])
    [problem] = verify(Store(spoiled.uri))[0]
    assert (problem.file, problem.mend) == (f"weights/{path.name}", f"sweep retry {name} --force")
    path.unlink()
    [problem] = verify(Store(spoiled.uri))[0]
    assert problem.what == f"trial {name}: the weights of 0 tensors that are there are not those that it ended with"


def test_a_store_without_the_columns_reads_as_before(spoiled, kept):
    path = file_of(spoiled, "trials", kept.trial.trial_id)
    table = pq.ParquetFile(path).read()
    pq.write_table(table.drop_columns(["kept_weights_hash", "weights_bytes"]), path)
    shutil.rmtree(spoiled.local / "weights")
    record = Store(spoiled.uri).trial(kept.trial.trial_id)
    assert (record.kept_weights_hash, record.weights_bytes) == (None, None)
    assert problems(spoiled) == []
