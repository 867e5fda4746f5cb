"""Folding: the same records in a few files, whoever reads, writes or dies meanwhile."""

import os
import random
import threading
import time
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from sweep.errors import InputError, StoreError
from sweep.records import Outcome
from sweep.store import Store, folding
from sweep.store.files import Files
from sweep.store.folding import Folded, fold
from sweep.store.leases import Leases

from ...conftest import make_outcome
from .helpers import FOLDERS, contents, file_of, files

ENDINGS = ("completed", "failed", "interrupted", "diverged")


def fill(store: Store, start: int, number: int, **facts: object) -> list[str]:
    """Write trials with ids that count on from ``start``."""
    names = [f"{place:016x}" for place in range(start, start + number)]
    for place, name in enumerate(names):
        store.write(make_outcome(name, ENDINGS[place % 4], **{"seed": place, **facts}))
    return names


def folds(store: Store, folder: str) -> list[str]:
    return [name for name in store.names(folder) if name.startswith("fold-")]


class TestEveryBackend:
    """What holds on a local disk and on an object store alike."""

    def test_the_records_are_the_same_in_fewer_files(self, store):
        names = fill(store, 0, 5)
        before, few = contents(store), contents_of(store, names[1:3])
        assert fold(store) == Folded(15, 3)
        assert contents(store) == before
        assert contents_of(store, names[1:3]) == few
        assert [len(folds(store, folder)) for folder in FOLDERS] == [1, 1, 1]
        assert not any(store.loose(folder) for folder in FOLDERS)
        assert store.files.names("leases") == []

    def test_a_second_time_changes_nothing(self, store):
        fill(store, 0, 3)
        fold(store)
        before = files(store)
        assert fold(store) == Folded(3, 3)
        assert files(store) == before

    def test_what_is_new_is_folded_beside(self, store):
        fill(store, 0, 3)
        fold(store)
        first = files(store)
        fill(store, 3, 3)
        before = contents(store)
        assert fold(store) == Folded(12, 6)
        assert contents(store) == before
        assert first.items() <= files(store).items()

    def test_a_rerun_wins_over_the_fold_and_is_folded_itself(self, store):
        names = fill(store, 0, 4)
        fold(store)
        for name in names[:2]:
            store.write(make_outcome(name, "completed", seed=77))
        store.write(make_outcome(names[0], "failed", seed=99))
        expected = contents(store)
        assert [store.trial(name).seed for name in names] == [77, 77, 2, 3]
        assert (store.epochs().num_rows, store.masks().num_rows) == (8, 4)
        fold(store)
        assert contents(store) == expected

    def test_of_two_at_once_one_is_refused(self, store):
        fill(store, 0, 2)
        with Leases(store.files).held() as leases:
            assert leases.claim("fold") is None
            before = files(store)
            with pytest.raises(InputError, match=f"is being folded by process {os.getpid()} on .*; wait for it to end"):
                fold(store)
            assert files(store) == before
        assert fold(store) == Folded(6, 3)


def contents_of(store: Store, names: list[str]) -> list[str]:
    tables = store.trials(names), store.epochs(names), store.masks(names)
    return sorted(repr(row) for rows in tables for row in rows.to_pylist())


def test_an_absent_store_is_folded_to_nothing(local):
    assert fold(local) == Folded(0, 0)
    assert not local.local.exists()


@pytest.mark.slow
def test_folds_are_made_one_once_there_are_eight_and_what_has_been_replaced_is_dropped(local):
    for number in range(folding.FOLDS):
        fill(local, 2 * number, 2)
        fold(local)
    local.write(make_outcome(f"{0:016x}", seed=88))
    assert len(folds(local, "trials")) == folding.FOLDS
    before = contents(local)
    assert fold(local) == Folded(3 * folding.FOLDS + 3, 3)
    assert contents(local) == before
    trials = pq.ParquetFile(local.local / "trials" / folds(local, "trials")[0]).read()
    assert sorted(trials["trial_id"].to_pylist()) == [f"{place:016x}" for place in range(2 * folding.FOLDS)]
    masks = pq.ParquetFile(local.local / "masks" / folds(local, "masks")[0]).read()
    assert masks.num_rows == 2 * folding.FOLDS


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_damaged_file_is_left_and_named_and_nothing_else_of_its_trial_is_lost(local, folder):
    names = fill(local, 0, 4)
    path = file_of(local, folder, names[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    fold(local)
    assert path.exists() and str(path) in local.damaged
    assert contents(local)["trials"].total() == 4 - (folder == "trials")
    path.write_bytes(whole)  # from a backup
    mended = Store(local.local)
    assert contents(mended)["trials"].total() == 4
    assert (mended.epochs([names[0]]).num_rows, mended.masks([names[0]]).num_rows) == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_damaged_fold_is_left_and_what_belongs_to_it_too(local, folder):
    for number in range(folding.FOLDS):
        fill(local, 2 * number, 2)
        fold(local)
    path = local.local / folder / folds(local, folder)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fill(local, 100, 2)
    fold(local)
    assert path.exists()
    path.write_bytes(whole)
    mended = contents(Store(local.local))
    assert [mended[each].total() for each in FOLDERS] == [18, 36, 18]


def test_a_file_with_columns_that_we_do_not_know_is_left_as_it_is(local):
    """A later version's: the fold would lack them."""
    names = fill(local, 0, 3)
    path = file_of(local, "trials", names[0])
    rows = pq.ParquetFile(path).read()
    pq.write_table(rows.append_column("from_tomorrow", rows["seed"]), path)
    fold(local)
    assert path.exists()
    assert contents(local)["trials"].total() == 3


def test_what_a_writer_is_at_is_left_alone_and_what_a_killed_one_left_goes_after_a_day(local):
    names = fill(local, 0, 3)
    orphans = [local.local / "masks" / f"{names[0]}-0000000{number}.parquet" for number in range(2)]
    for path in orphans:
        path.write_bytes(
            file_of(local, "masks", names[0]).read_bytes() if path is orphans[0] else orphans[0].read_bytes()
        )
    os.utime(orphans[1], (time.time() - 2 * folding.ORPHANED,) * 2)
    fold(local)
    assert [path.exists() for path in orphans] == [True, False]


def test_a_writer_in_the_middle_of_a_rerun_keeps_its_masks(local, monkeypatch):
    """The fold comes between the new masks and the new row."""
    names = fill(local, 0, 4)
    put = local.files.put

    def put_late(name, data):
        if name.startswith("trials/"):
            fold(Store(local.local))
        put(name, data)

    monkeypatch.setattr(local.files, "put", put_late)
    local.write(make_outcome(names[0], seed=55))
    assert local.trial(names[0]).seed == 55
    assert (local.epochs([names[0]]).num_rows, local.masks([names[0]]).num_rows) == (2, 1)


def test_trials_that_are_replaced_while_they_are_folded_are_those_that_replaced_them(local, monkeypatch):
    """The files are gone between their listing and their reading, in every folder."""
    names = fill(local, 0, 4)
    folded, entries, at = Store(local.local), Files.entries, iter(names)

    def list_then_replace(self, folder):
        listed = entries(self, folder)
        if folder in FOLDERS and (name := next(at, None)):
            monkeypatch.setattr(Files, "entries", entries)
            local.write(make_outcome(name, seed=55))
            monkeypatch.setattr(Files, "entries", list_then_replace)
        return listed

    monkeypatch.setattr(Files, "entries", list_then_replace)
    fold(folded)
    assert [local.trial(name).seed for name in names[:3]] == [55, 55, 55]
    assert contents(local)["trials"].total() == 4
    assert (local.epochs().num_rows, local.masks().num_rows) == (8, 4)


def test_a_fold_that_cannot_be_written_is_as_if_it_had_not_begun(local, monkeypatch):
    fill(local, 0, 3)
    before, put = files(local), local.files.put

    def put_or_fail(name, data, **how):
        if name.startswith("trials/"):
            raise StoreError("store: cannot write: No space left on device")
        put(name, data, **how)

    monkeypatch.setattr(local.files, "put", put_or_fail)
    with pytest.raises(StoreError, match="No space left"):
        fold(local)
    assert files(local) == before


def test_of_few_trials_in_a_fold_no_more_than_their_part_of_it_is_read(local, monkeypatch):
    names = [f"{number:016x}" for number in range(600)]
    outcomes = [make_outcome(name) for name in names]
    for outcome in outcomes[:2]:
        local.write(outcome)
    fold(local)
    for folder in FOLDERS:  # a fold of all of them, made at once: to write each would take a minute
        path = local.local / folder / folds(local, folder)[0]
        rows = pq.ParquetFile(path).read().to_pylist()
        mine = [row | {"trial_id": name} for name in names for row in rows if row["trial_id"] == names[0]]
        schema = pq.ParquetFile(path).schema_arrow
        path.write_bytes(folding.encode_fold(folding.pa.Table.from_pylist(mine, schema=schema)).to_pybytes())
    read, read_groups = [], pq.ParquetFile.read_row_groups

    def count(self, groups, columns=None, **how):
        read.append((groups, self.num_row_groups, columns))
        return read_groups(self, groups, columns=columns, **how)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", count)
    assert local.masks([names[0]]).num_rows == 1
    (_, (groups, of, _)) = read
    assert (len(groups), of) == (1, 3)
    assert local.masks([names[599]], ["trial_id", "kept"]).num_rows == 1
    assert "packed" not in read[-1][2] and len(read[-1][0]) == 1
    assert local.masks(["0" * 15 + "x"]).num_rows == 0


FOLD_TRIALS = """
with Leases(Files(folder)).held() as leases:
    folding.fold_trials(Store(folder), leases)
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", ["fold(Store(folder))", FOLD_TRIALS], ids=["compact", "launch"])
def test_a_folding_that_is_killed_at_any_moment_loses_nothing(local, forks, code):
    """Kill -9 at random moments, again and again, with new and replaced trials in between."""
    names = fill(local, 0, 12)
    draw = random.Random(3)
    for number in range(12):
        local.write(make_outcome(names[number], "completed", seed=100 + number))
        fill(local, 100 + number, 1)
        before = contents(local)
        folder = forks.start(code, folder=str(local.local))
        time.sleep(draw.uniform(0.0, 0.25))
        folder.kill()
        assert contents(local) == before
    assert not local.damaged
    fold(local)
    assert contents(local) == before
    assert not any(local.loose(each) for each in FOLDERS)


WRITE = """
result = 0
while result < 3 or not Path(folder, "end").exists():
    name = f"{result % 12:016x}"
    Store(folder).write(make_outcome(name, "completed", seed=result))
    result += 1
"""
FOLD = """
result = 0
while result < 3 or not Path(folder, "end").exists():
    try:
        fold(Store(folder))
        result += 1
    except InputError as error:  # the other one folds
        assert "is being folded by" in str(error)
"""
FOLD_ROWS = """
result = 0
while result < 3 or not Path(folder, "end").exists():
    with Leases(Files(folder)).held() as leases:
        folding.fold_trials(Store(folder), leases)
    result += 1
"""
READ = """
names = {f"{number:016x}" for number in range(12)}
store, result = Store(folder), 0
while result < 3 or not Path(folder, "end").exists():
    trials = store.trials()
    assert sorted(trials["trial_id"].to_pylist()) == sorted(names), trials["trial_id"].to_pylist()
    assert store.completed() == names
    for wanted in (names, {random.choice(sorted(names))}):
        epochs, masks = store.epochs(wanted), store.masks(wanted, ["trial_id", "kept"])
        assert sorted(epochs["trial_id"].to_pylist()) == sorted(2 * list(wanted)), epochs["trial_id"].to_pylist()
        assert sorted(masks["trial_id"].to_pylist()) == sorted(wanted), masks["trial_id"].to_pylist()
    assert not store.damaged, store.damaged
    result += 1
"""


@pytest.mark.slow
def test_readers_see_every_completed_trial_at_every_moment_while_others_write_and_fold(local, forks):
    """Never one less, never one twice, never one without its epochs and masks: in processes of their own."""
    for number in range(12):
        local.write(make_outcome(f"{number:016x}"))
    running = [forks.start(code, folder=str(local.local)) for code in (WRITE, FOLD, FOLD_ROWS, READ, READ)]
    time.sleep(6)
    (local.local / "end").touch()
    counts = [process.result() for process in running]
    assert min(counts) >= 3, counts


@pytest.mark.slow
def test_readers_on_s3_see_every_trial_while_another_thread_writes_and_folds(request, store):
    if store.local:
        pytest.skip("that is tested with processes")
    names = {f"{number:016x}" for number in range(5)}
    for name in names:
        store.write(make_outcome(name))
    done = threading.Event()

    def write_and_fold() -> None:
        mine = Store(store.uri)
        for number in range(8):
            mine.write(make_outcome(f"{number % 5:016x}", seed=number))
            if number % 3 == 0:
                fold(mine)
        done.set()

    thread = threading.Thread(target=write_and_fold)
    thread.start()
    looks = 0
    while not done.is_set():
        assert store.completed() == names
        assert sorted(store.masks(None, ["trial_id"])["trial_id"].to_pylist()) == sorted(names)
        assert store.epochs().num_rows == 10
        looks += 1
    thread.join()
    assert looks > 2 and not store.damaged


def test_masks_and_epochs_of_a_fold_stay_in_order(local, trials):
    """The rows of a trial lie in the order of the network and of time, folded or not."""
    for outcome in trials:
        local.write(outcome)
        other = outcome.trial.trial_id[::-1]
        moved = [tuple(replace(row, trial_id=other) for row in rows) for rows in (outcome.epochs, outcome.masks)]
        local.write(Outcome(replace(outcome.trial, trial_id=other), *moved))
    fold(local)
    for outcome in trials:
        name = outcome.trial.trial_id
        assert local.masks([name], ["position"])["position"].to_pylist() == list(range(len(outcome.masks)))
        assert local.epochs([name])["epoch"].to_pylist() == [1, 2]


def test_how_far_it_is_is_told(local):
    fill(local, 0, 4)
    told: list[tuple[int, int]] = []
    fold(local, lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
