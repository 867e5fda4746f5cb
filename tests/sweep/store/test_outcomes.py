"""Which outcome of a trial counts, whoever writes it, when, in what order, and whatever becomes of the writer."""

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.records import EpochRecord, MaskRecord, Outcome, TrialRecord, table
from sweep.store import Store
from sweep.store import store as module
from sweep.store.files import Files
from sweep.store.folding import fold
from sweep.store.layout import outcome_file
from sweep.store.parquet import encode

from ...conftest import make_outcome
from .helpers import FOLDERS, IDS, contents, file_of, files, rewrite

ENDINGS = ("completed", "failed", "diverged", "interrupted")


def marked(number: int, status: str = "completed", trial_id: str = IDS[0]) -> Outcome:
    """An outcome whose row, epochs and masks can be told from those of others by a number."""
    plain = make_outcome(trial_id, status, seed=number)
    epochs = tuple(replace(epoch, train_loss=float(number)) for epoch in plain.epochs)
    masks = tuple(replace(mask, tensor=f"{number}.weight") for mask in plain.masks)
    return Outcome(plain.trial, epochs, masks)


def seen(store: Store, trial_id: str = IDS[0]) -> set[int]:
    """The numbers of the outcomes that a trial's row, epochs and masks are of."""
    trials = store.trials([trial_id])["seed"].to_pylist()
    epochs = store.epochs([trial_id])["train_loss"].to_pylist()
    masks = store.masks([trial_id])["tensor"].to_pylist()
    assert (len(trials), len(epochs), len(masks)) == (1, 2, 1)
    return {*trials, *map(int, epochs), *(int(name.partition(".")[0]) for name in masks)}


@pytest.mark.parametrize("later", ENDINGS)
@pytest.mark.parametrize("earlier", ENDINGS)
def test_a_later_outcome_replaces_an_earlier_one_whole_but_for_a_completed_one(local, earlier, later):
    local.write(marked(1, earlier))
    before = files(local)
    local.write(marked(2, later))
    if earlier == "completed" != later:
        assert files(local) == before
        assert seen(local) == {1}
    else:
        assert seen(local) == {2}
        assert local.statuses() == {IDS[0]: later}
        assert not before.keys() & files(local).keys()
        assert [len(local.loose(folder)) for folder in FOLDERS] == [1, 1, 1]


def test_a_rerun_replaces_its_trial_alone_on_every_backend(store):
    for name in IDS[:3]:
        store.write(marked(1, trial_id=name))
    store.write(marked(2, "failed", IDS[1]))
    store.write(marked(3, "completed", IDS[2]))
    assert [seen(store, name) for name in IDS[:3]] == [{1}, {1}, {3}]
    assert [len(store.loose(folder)) for folder in FOLDERS] == [3, 3, 3]


def test_what_is_returned_is_what_was_stored(store):
    first = store.write(marked(1))
    assert store.trial(IDS[0]) == first
    assert store.write(marked(2, "failed")).outcome is None  # it was not
    assert store.trial(IDS[0]) == first


def test_an_outcome_without_masks_leaves_none_of_an_earlier_one(local):
    local.write(marked(1, "interrupted"))
    local.write(Outcome(make_outcome(IDS[0], "failed").trial))
    assert local.trials().num_rows == 1
    assert local.epochs().num_rows == local.masks().num_rows == 0
    assert not local.loose("masks") and not local.loose("epochs")


def test_a_writer_whose_clock_is_behind_still_has_the_last_word(local, monkeypatch):
    local.write(marked(1))

    class Behind(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(days=2)

    monkeypatch.setattr(module, "datetime", Behind)
    local.write(marked(2))
    assert seen(local) == {2}


def test_of_two_written_at_the_same_moment_all_readers_count_the_same(tmp_path):
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    pair = [replace(marked(number).trial, outcome=tag * 8, written=moment) for number, tag in ((1, "1"), (2, "2"))]
    found = set()
    for number, rows in enumerate((pair, pair[::-1])):
        folder = tmp_path / str(number) / "trials"
        folder.mkdir(parents=True)
        pq.write_table(table(TrialRecord, rows), folder / "fold-x.parquet")
        found.add(Store(folder.parent).trial(IDS[0]).seed)
    assert len(found) == 1


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(IDS[:2]), st.sampled_from(ENDINGS), st.booleans()), max_size=8), st.data())
def test_stores_filled_in_any_order_and_copied_together_count_the_same(tmp_path_factory, written, data):
    """Each outcome goes to one of two stores; then one is copied into the other, or the other way about."""
    folder = tmp_path_factory.mktemp("orders")
    pair = [Store(folder / "left"), Store(folder / "right")]
    stored = []
    for number, (name, status, right) in enumerate(written):
        record = pair[right].write(marked(number, status, name))
        stored += [record] if record.outcome else []
    merged = []
    for number, order in enumerate((data.draw(st.permutations(pair)), pair)):
        for one in order:
            if one.local.exists():
                shutil.copytree(one.local, folder / f"merged{number}", dirs_exist_ok=True)
        merged.append(Store(folder / f"merged{number}"))
    assert contents(merged[0]) == contents(merged[1])
    fold(merged[1])
    assert contents(merged[0]) == contents(merged[1])
    for name in IDS[:2]:
        mine = [record for record in stored if record.trial_id == name]
        best = max(mine, key=lambda record: (record.status == "completed", record.written), default=None)
        assert seen(merged[0], name) == {best.seed} if best else not merged[0].trials([name])


@pytest.mark.parametrize("moment", ["masks", "epochs", "trials"])
def test_a_writer_killed_on_a_rerun_leaves_the_old_outcome_with_its_own_masks_and_epochs(local, forks, moment):
    """Kill -9 right after the new file in one folder is there: it counts from the trial's row on."""
    local.write(marked(1))
    code = """
put = Files.put
def put_and_die(self, name, data):
    put(self, name, data)
    if name.startswith(moment):
        os.kill(os.getpid(), 9)
Files.put = put_and_die
from dataclasses import replace
plain = make_outcome("a" * 16, seed=2)
epochs = tuple(replace(epoch, train_loss=2.0) for epoch in plain.epochs)
masks = tuple(replace(mask, tensor="2.weight") for mask in plain.masks)
Store(folder).write(type(plain)(plain.trial, epochs, masks))
"""
    killed = forks.start(code, folder=str(local.local), moment=moment)
    with pytest.raises(AssertionError, match="it was killed"):
        killed.result()
    assert len(local.loose("masks")) == 2
    assert seen(local) == ({2} if moment == "trials" else {1})
    fold(local)
    assert seen(local) == ({2} if moment == "trials" else {1})
    local.write(marked(3))
    assert seen(local) == {3}


def test_a_failed_outcome_that_is_being_written_while_another_completes_takes_nothing_away(local, monkeypatch):
    """The other comes between the look at what there is and the writing."""
    put, others = local.files.put, [marked(2)]

    def put_late(name, data):
        if others:
            Store(local.local).write(others.pop())
        put(name, data)

    monkeypatch.setattr(local.files, "put", put_late)
    local.write(marked(1, "failed"))
    assert seen(Store(local.local)) == {2}
    assert local.completed() == {IDS[0]}


def test_two_that_complete_the_same_trial_at_once_leave_one_of_them_whole(local, monkeypatch):
    """A launch that was suspended ends a trial that another has taken over, in the middle of the other's writing."""
    put, others = local.files.put, [marked(2)]

    def put_late(name, data):
        if name.startswith("trials/") and others:
            Store(local.local).write(others.pop())
        put(name, data)

    monkeypatch.setattr(local.files, "put", put_late)
    local.write(marked(1))
    assert seen(Store(local.local)) in ({1}, {2})


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A" * 16, "a" * 15, "a" * 17, "a" * 16 + "\n"])
def test_what_is_no_trial_id_is_refused(local, name):
    for refused in (
        lambda: local.write(make_outcome(name)),
        lambda: local.save_checkpoint(name, b""),
        lambda: local.load_checkpoint(name),
        lambda: local.drop_checkpoint(name),
    ):
        with pytest.raises(ValueError, match="is not a trial id, which has 16 hex digits"):
            refused()
    assert not local.local.exists()


@pytest.mark.parametrize("bad", ["../../etc/passwd", "", "a/b", None])
@pytest.mark.parametrize(
    ("folder", "record"), [("trials", TrialRecord), ("epochs", EpochRecord), ("masks", MaskRecord)]
)
def test_a_file_with_rows_of_what_is_no_trial_is_damaged_and_named(local, folder, record, bad):
    local.write(make_outcome(IDS[0]))
    good = make_outcome(IDS[1])
    rows = {TrialRecord: [good.trial], EpochRecord: good.epochs, MaskRecord: good.masks}[record]
    forged = table(record, [replace(row, trial_id="0" * 16) for row in rows])  # type: ignore[type-var]
    forged = forged.set_column(0, forged.field(0).with_nullable(True), pa.array([bad] * len(rows), pa.string()))
    (local.local / folder / "copied.parquet").write_bytes(encode(folder, forged))
    assert set(local.reader.all_rows(folder)["trial_id"].to_pylist()) == {IDS[0]}
    [(path, reason)] = local.damaged.items()
    assert path.endswith(f"{folder}/copied.parquet")
    assert reason.startswith("not a file of this store: a trial_id")
    assert contents(local)["trials"].total() == 1


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_under_another_trials_name_is_damaged(local, folder):
    local.write(make_outcome(IDS[0]))
    path = file_of(local, folder, IDS[0])
    path.rename(path.with_name(path.name.replace(IDS[0], IDS[1])))
    assert contents(local)[folder].total() == 0
    found = local.reader.read(folder, path.name.replace(IDS[0], IDS[1]))
    assert found is None
    assert list(local.damaged.values()) == ["its name does not match: it holds another trial"]


def test_a_row_under_another_outcomes_name_is_damaged(local):
    record = local.write(make_outcome(IDS[0]))
    path = local.local / outcome_file("trials", (IDS[0], record.outcome))
    path.rename(path.with_name(f"{IDS[0]}-00000000.parquet"))
    assert local.statuses() == {}
    assert list(local.damaged.values()) == ["its name does not match: it holds another outcome"]


def test_a_row_without_what_every_row_has_is_damaged(local):
    local.write(make_outcome(IDS[0]))
    local.write(make_outcome(IDS[1]))
    for name, column in ((IDS[0], "status"), (IDS[1], "sparsity")):
        path = file_of(local, "trials", name)
        pq.write_table(pq.ParquetFile(path).read().drop_columns([column]), path)
    assert local.trials().num_rows == 0
    assert [reason.rpartition(" ")[2] for _, reason in sorted(local.damaged.items())] == ["status", "sparsity"]


def test_text_that_is_no_text_is_damage_and_no_crash(local):
    """Bytes that cannot be decoded would be found by whoever prints them."""
    local.write(make_outcome(IDS[0]))
    path = file_of(local, "masks", IDS[0])
    rewrite(path, lambda rows: None)
    data = path.read_bytes()
    assert b"0.weight" in data
    path.write_bytes(data.replace(b"0.weight", b"\xff\xfe.weigh"[:8]))
    assert local.masks().num_rows == 0
    assert file_of(local, "masks", IDS[0]).name in next(iter(local.damaged))


def test_a_power_cut_takes_no_record_an_outcome_goes_only_after_the_name_of_the_next_is_on_the_disk(
    tmp_path, monkeypatch
):
    unsynced: set[Path] = set()  # folders in which a name is not on the disk yet
    replace, fsync, delete, mkdir = os.replace, os.fsync, Files._delete, os.mkdir

    def renamed(source, target):
        replace(source, target)
        unsynced.add(Path(target).parent)

    def made(path, *arguments):
        mkdir(path, *arguments)
        unsynced.add(Path(path).parent)

    def synced(descriptor):
        fsync(descriptor)
        unsynced.discard(Path(os.readlink(f"/proc/self/fd/{descriptor}")))

    deleted = []

    def gone(self, name):
        deleted.append((name, set(unsynced)))
        delete(self, name)

    monkeypatch.setattr(os, "replace", renamed)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "mkdir", made)
    monkeypatch.setattr(Files, "_delete", gone)
    store = Store(tmp_path / "new/store")
    store.write(make_outcome(IDS[0], "failed"))
    assert not unsynced
    store.write(make_outcome(IDS[0]))
    fold(store)
    assert not unsynced - {store.local / "leases", store.local}  # a lease need not outlive a power cut
    records = [(name, before) for name, before in deleted if not name.startswith(("leases/", "checkpoints/"))]
    assert len(records) >= 6
    assert not any(before & {store.local / name.partition("/")[0]} for name, before in records)
