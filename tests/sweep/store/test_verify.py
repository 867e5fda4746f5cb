"""Verify: it is content with what is right, and names every single thing that is wrong."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pruning.masks import digest
from pruning.packing import pack, unpack
from sweep.cli import main
from sweep.records import Outcome
from sweep.store import Store
from sweep.store import verify as module
from sweep.store.folding import fold
from sweep.store.verify import StoreProblem, verify
from training import checkpoint

from .helpers import FOLDERS, IDS, file_of, rewrite
from .test_store import SWEEP

Row = dict[str, Any]


@pytest.fixture(scope="module")
def real(trials: list[Outcome], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two real trials, a sweep and a checkpoint."""
    store = Store(tmp_path_factory.mktemp("verify") / "results")
    for outcome in trials:
        store.write(outcome)
    store.write_sweep(SWEEP)
    store.save_checkpoint(IDS[0], checkpoint.dump({"trial_id": IDS[0]}))
    return store.local


@pytest.fixture
def store(real: Path, tmp_path: Path) -> Store:
    """A copy to spoil."""
    return Store(shutil.copytree(real, tmp_path / "results"))


@pytest.fixture
def snip(trials: list[Outcome]) -> str:
    return trials[0].trial.trial_id


def found(store: Store) -> list[StoreProblem]:
    """What is wrong with a store as it is now."""
    return verify(Store(store.uri))[0]


def one(store: Store) -> tuple[str, str]:
    """The one thing that is wrong: in which file, and what."""
    [problem] = found(store)
    return problem.file, problem.what


def test_a_store_of_real_trials_is_as_it_should_be(store):
    assert verify(store) == ([], {"files": 8, "trials": 2})
    fold(store)
    assert verify(Store(store.uri)) == ([], {"files": 5, "trials": 2})


@pytest.mark.slow
def test_trials_of_every_kind_are_as_they_should_be(run, tmp_path):
    """Masks that move, that are made in the end, controls of them, none at all: all counts hold."""
    store = Store(tmp_path / "results")
    outcomes = [
        *run("grid.method=[snip]", "grid.ablation=[invert, shuffle_layerwise, reinitialize]", "training.epochs=1"),
        *run("grid.method=[{name: set, every: 1}, {name: rigl, every: 1}, magnitude_after, imp]"),
        *run("grid.method=[random]", "grid.sparsity=0.0", "training.epochs=1"),
    ]
    assert {outcome.trial.status for outcome in outcomes} == {"completed"}
    for outcome in outcomes:
        store.write(outcome)
    assert verify(store)[0] == []
    fold(store)
    assert verify(Store(store.uri))[0] == []


def test_trials_that_did_not_complete_are_checked_as_far_as_they_came(store, trials):
    trial, half = trials[0].trial, trials[0].epochs[:1]
    shutil.rmtree(store.local)
    ended = replace(trial, status="interrupted", epochs=1, test_accuracy=None)
    store.write(Outcome(ended, half, trials[0].masks))
    assert found(store) == []
    file_of(store, "epochs", trial.trial_id).unlink()
    name, what = one(store)
    assert name.startswith(f"epochs/{trial.trial_id}-")
    assert what == f"trial {trial.trial_id}: it has finished 1 epochs, and there are 0: none"


def spoil_bit(rows: list[Row]) -> None:
    """Another weight of the first layer is kept instead of one: as many, but others."""
    mask = unpack(rows[0]["encoding"], rows[0]["packed"], rows[0]["shape"])
    flat = mask.view(-1)
    kept, removed = int(flat.nonzero()[0]), int((~flat).nonzero()[0])
    flat[kept], flat[removed] = False, True
    rows[0]["encoding"], rows[0]["packed"] = pack(mask)


def spoil_bit_and_hash(rows: list[Row]) -> None:
    spoil_bit(rows)
    rows[0]["hash"] = digest(unpack(rows[0]["encoding"], rows[0]["packed"], rows[0]["shape"]))


def setting(at: int, **values: Any):
    return lambda rows: rows[at].update(values)


FAULTS = [
    ("masks", spoil_bit, "its mask has another hash than it was stored with"),
    ("masks", spoil_bit_and_hash, "masks that are there are not those that it ended with"),
    ("masks", setting(0, packed=b""), "its mask cannot be unpacked"),
    ("masks", setting(0, encoding="morse"), "unknown mask encoding 'morse'"),
    ("masks", lambda rows: rows[0].update(kept=rows[0]["kept"] - 1), "weights, not "),
    ("masks", lambda rows: rows[1].update(shape=[1, 2]), "its shape [1, 2] has not"),
    ("masks", lambda rows: rows[0].update(effective_kept=rows[0]["kept"] + 1), "are recorded as lying on a path"),
    ("masks", lambda rows: rows[:-1], "masks that are there are not those that it ended with"),
    ("masks", lambda rows: [*rows, rows[-1]], "masks that are there are not those that it ended with"),
    ("epochs", lambda rows: rows[:1], "it has finished 2 epochs, and there are 1: 1"),
    ("epochs", lambda rows: [rows[1], *rows], "it has finished 2 epochs, and there are 3: 1, 2, 2"),
    ("epochs", setting(0, epoch=7), "it has finished 2 epochs, and there are 2: 2, 7"),
    ("trials", setting(0, status="won"), "its status 'won' is none of completed, failed, diverged, interrupted"),
    ("trials", setting(0, config="{"), "its config cannot be read"),
    ("trials", setting(0, config="[]"), "its config cannot be read"),
    ("trials", lambda rows: rows[0].update(config=rows[0]["config"].replace('"seed":0', '"seed":1')), "another trial's"),
    ("trials", setting(0, kept=7), "it says 7 of"),
    ("trials", setting(0, prunable=7), "of 7"),
    ("trials", setting(0, sparsity=0.5), "are not a sparsity of 0.5"),
    ("trials", setting(0, mask_hash="0" * 64), "masks that are there are not those that it ended with"),
    ("trials", setting(0, mask_hash=None), "it has no mask_hash, and there are"),
    ("trials", setting(0, epochs=3), "it has finished 3 epochs, and there are 2: 1, 2"),
]  # fmt: skip


@pytest.mark.parametrize(("folder", "spoil", "what"), FAULTS)
@pytest.mark.parametrize("folded", [False, True], ids=["loose", "folded"])
def test_a_fault_that_can_be_read_is_named_with_its_trial_and_a_file(store, snip, folder, spoil, what, folded):
    path = file_of(store, folder, snip)
    rewrite(path, spoil)
    if folded:
        fold(store)
        [path] = (store.local / folder).iterdir()
    problems = found(store)
    assert [problem for problem in problems if what in problem.what], problems
    assert all(snip in problem.what for problem in problems)
    blamed = {problem.file for problem in problems}
    assert blamed & {f"{folder}/{path.name}", f"masks/{path.name}", f"epochs/{path.name}"} or folded
    assert all((store.local / file).exists() for file in blamed)
    assert {problem.mend for problem in problems} == {f"sweep retry {snip} --force"}


@pytest.mark.parametrize("folder", ["epochs", "masks"])
def test_a_file_that_is_gone_is_named(store, snip, folder):
    path = file_of(store, folder, snip)
    path.unlink()
    name, what = one(store)
    assert name == f"{folder}/{path.name}"
    assert what.startswith(f"trial {snip}: ")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_cut_short_is_named_once_and_the_mending_is_one_that_works(store, snip, folder):
    path = file_of(store, folder, snip)
    path.write_bytes(path.read_bytes()[:50])
    [problem] = found(store)
    assert problem.file == f"{folder}/{path.name}"
    mends = {"trials": "launch its sweep again: it is set aside, and what was in it runs again"}
    assert problem.mend == mends.get(folder, f"sweep retry {snip} --force")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_fold_cut_short_is_one_problem_that_counts_what_it_takes_away(store, trials, folder):
    fold(store)
    [path] = (store.local / folder).iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    [problem] = found(store)
    assert problem.file == f"{folder}/{path.name}"
    if folder != "trials":
        assert problem.what.endswith(f"; {folder} of 2 trials are in no other file")
        assert all(outcome.trial.trial_id in problem.mend for outcome in trials)


def test_foreign_files_are_named_in_every_folder(store):
    foreign = {
        "trials/notes.txt": b"", "epochs/x.parquet": b"", "masks/x.parquet": b"PAR1", "sweeps/x.csv": b"a,b",
        "checkpoints/notes.pt": b"", "checkpoints/" + IDS[1] + ".zip": b"",
    }  # fmt: skip
    for name, data in foreign.items():
        store.files.put(name, data)
    pq.write_table(pa.table({"x": [1]}), store.local / "trials/foreign.parquet")
    assert {problem.file for problem in found(store)} == {*foreign, "trials/foreign.parquet"}


def test_another_kind_of_record_in_a_folder_is_foreign(store, snip):
    shutil.copy(file_of(store, "epochs", snip), store.local / "masks" / "x.parquet")
    assert one(store) == ("masks/x.parquet", "not a file of this folder: it holds EpochRecord")


def test_a_column_that_we_do_not_know_is_named(store, snip):
    """So is one whose name a flipped bit has changed: it would be missing, and might be."""
    path = file_of(store, "trials", snip)
    rows = pq.ParquetFile(path).read()
    names = ["gradiant_norm" if name == "gradient_norm" else name for name in rows.column_names]
    pq.write_table(rows.rename_columns(names).replace_schema_metadata(rows.schema.metadata), path)
    assert one(store) == (f"trials/{path.name}", "it has columns that are none of a record's: gradiant_norm")


@pytest.mark.parametrize("data", [b"", b"x" * 100, None])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_named(store, data):
    whole = checkpoint.dump({"trial_id": IDS[0]})
    store.save_checkpoint(IDS[0], whole[:-1] if data is None else data)
    [problem] = found(store)
    assert problem.file == f"checkpoints/{IDS[0]}.pt"
    assert problem.what.startswith("cannot be read: this")
    assert "the next launch runs it from scratch" in problem.mend


def test_a_checkpoint_of_another_trial_is_named(store):
    store.save_checkpoint(IDS[1], checkpoint.dump({"trial_id": IDS[0]}))
    assert one(store) == (f"checkpoints/{IDS[1]}.pt", f"it is of trial {IDS[0]}")


def test_what_does_not_count_is_not_checked(store, trials, snip):
    """Files that no row names, and outcomes that others have replaced: in a fold, say."""
    rewrite(file_of(store, "masks", snip), spoil_bit)
    fold(store)
    store.write(trials[0])
    assert found(store) == []
    shutil.copy(file_of(store, "epochs", snip), store.local / "masks" / f"{IDS[0]}-00000000.parquet")
    assert len(found(store)) == 1  # though it cannot be read
    rewrite(file_of(store, "epochs", snip), lambda rows: None)


def test_trials_that_are_replaced_and_folded_while_it_looks_are_no_problem(store, trials, monkeypatch):
    """After every file that it reads, both trials are written anew, or all is folded."""
    writer, left = Store(store.uri), [*range(6)]
    step = module._Verification.step

    def disturb(self):
        step(self)
        if left:
            if left.pop() % 3 == 0:
                fold(writer)
            else:
                for outcome in trials:
                    writer.write(outcome)

    monkeypatch.setattr(module._Verification, "step", disturb)
    assert verify(store)[0] == []
    assert not left


class TestCommand:
    """``sweep verify``: exit codes and what it prints."""

    def run(self, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["verify", *arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    def test_all_is_well(self, store):
        code, said = self.run(str(store.local))
        assert code == 0
        assert "checked 8 files, 2 trials: no problems" in said
        assert self.run(str(store.local), "--json") == (0, "[]\n")

    def test_what_is_wrong_is_named_with_its_mending(self, store, snip):
        path = file_of(store, "masks", snip)
        rewrite(path, spoil_bit)
        code, said = self.run(str(store.local))
        assert code == 1
        assert f"masks/{path.name}: trial {snip}, " in said
        assert "its mask has another hash than it was stored with" in said
        assert f"fix: sweep retry {snip} --force" in said
        code, said = self.run(str(store.local), "--json")
        [problem] = json.loads(said)
        assert code == 1
        assert problem["store"] == str(store.local)
        assert problem["file"] == f"masks/{path.name}"

    def test_of_several_stores_each_problem_has_its_store(self, store, tmp_path, snip):
        other = Store(shutil.copytree(store.local, tmp_path / "other"))
        file_of(other, "masks", snip).unlink()
        code, said = self.run(str(store.local), str(other.local), "--json")
        assert (code, [problem["store"] for problem in json.loads(said)]) == (1, [str(other.local)])

    def test_a_store_that_there_is_not_is_bad_input(self, tmp_path):
        code, said = self.run(str(tmp_path / "none"))
        assert code == 2
        assert "does not exist" in said


def test_nothing_is_changed(store, snip):
    rewrite(file_of(store, "masks", snip), spoil_bit)
    file_of(store, "trials", snip).write_bytes(b"half")
    before = {path: path.read_bytes() for path in store.local.rglob("*") if path.is_file()}
    found(store)
    assert {path: path.read_bytes() for path in store.local.rglob("*") if path.is_file()} == before
