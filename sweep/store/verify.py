"""Verify: every file of a store read, all masks and weights hashed again, every count checked against every other."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import pyarrow as pa

from pruning.masks import digest, kept_count
from pruning.packed_weights import check_packed, weights_digest
from pruning.packing import unpack
from sweep.config.trial_identity import canonical, hashed, stored_identity
from sweep.records import COMPLETED, OUTCOME, STATUSES
from sweep.store.layout import TRIAL_ID, Key, loose_file, outcome_file
from sweep.store.parquet import FOLDERS, OF_OUTCOMES, columns_of, strange_columns
from sweep.store.reader import RANK, indices_that_count, joined, keys_of
from sweep.store.store import Store
from training import checkpoint

Tell = Callable[[int, int], None]  # files so far, of how many
Counts = Callable[[pa.Table], pa.Array]  # indices of the rows of trials that are checked
_MERGE_AGAIN = "delete the files of its outcome, and merge again from the store that it came from"
_ROW = [
    "trial_id", "status", OUTCOME, "written", "config", "epochs", "prunable", "kept", "sparsity", "mask_hash",
    "kept_weights_hash",
]  # fmt: skip
_ROWS = 1024  # of epochs, masks or weights in Python objects at once
_NAMED = 5  # trials that one problem names at most


@dataclass(frozen=True)
class StoreProblem:
    """A problem of a store: in which file, what it is, and how to fix it."""

    file: str
    what: str
    mend: str = ""


def verify(store: Store, tell: Tell = lambda done, total: None) -> tuple[list[StoreProblem], dict[str, int]]:
    """Everything that is wrong in a store, and how much was looked at. Changes nothing.

    Args:
        store: the store; what is written or folded meanwhile may be left out.
        tell: called with the number of files checked so far, and of all files.

    Raises:
        InputError: a file was written by a newer version of sweep.
        StoreError: the store cannot be reached.
    """
    verification = _Verification(store, tell)
    problems = list(verification.problems())
    checked = {"files": verification.done, "trials": len(verification.rows)}
    beside = _Verification(store.conflicts, tell, counts=_all)
    problems += [replace(each, file=f"conflicts/{each.file}", mend=_MERGE_AGAIN) for each in beside.problems()]
    if beside.rows:
        checked["other results"] = len(beside.rows)
        checked["files"] += beside.done
    if weights := sum(bool(found.weight_hashes) for found in verification.found.values()):
        checked["networks' final weights"] = weights
    return problems, checked


@dataclass
class _Found:
    """What the files of epochs, masks and weights say of one outcome."""

    files: dict[str, str] = field(default_factory=dict)  # by folder
    epochs: list[int] = field(default_factory=list)
    hashes: list[tuple[int, str]] = field(default_factory=list)  # by position
    weight_hashes: list[tuple[int, str]] = field(default_factory=list)  # by position
    masks: dict[str, tuple[list[int], int]] = field(default_factory=dict)  # shape and kept weights, by tensor
    kept: int = 0
    total: int = 0


class _Verification:
    """One verification of the outcomes that count."""

    def __init__(self, store: Store, tell: Tell, counts: Counts = indices_that_count):
        self.store, self.reader, self.tell, self.counts_of = store, store.reader, tell, counts
        self.total = sum(len(store.files.names(folder)) for folder in (*FOLDERS, "checkpoints"))
        self.done = 0
        self.rows: list[dict[str, Any]] = []
        self.strange: list[tuple[str, str]] = []  # files, columns
        self.found: dict[Key, _Found] = defaultdict(_Found)

    def problems(self) -> Iterator[StoreProblem]:
        """All of them, as they are found."""
        self.rows = self.trials().to_pylist()
        counting = {(row["trial_id"], row[OUTCOME]) for row in self.rows}
        for folder in OF_OUTCOMES:  # weights after the masks that they are checked against
            for name, rows in self.tables(folder):
                for batch in rows.to_batches(max_chunksize=_ROWS):
                    yield from self.records(folder, name, batch.to_pylist(), counting)
        for _ in self.tables("sweeps"):
            pass
        yield from (
            StoreProblem(file, f"it has columns that are none of a record's: {names}") for file, names in self.strange
        )
        yield from self.counts()
        yield from self.damaged()
        yield from self.checkpoints()
        for folder in FOLDERS:
            for name in self.store.files.names(folder):
                if name[0] not in "._" and not name.endswith(".parquet"):
                    yield StoreProblem(f"{folder}/{name}", "not a file of this store", "move it elsewhere")

    def tables(self, folder: str) -> Iterator[tuple[str, pa.Table]]:
        """The rows of every file that can be read, all columns of it."""
        for listed in self.reader.unseen(folder):
            for name in listed:
                self.step()
                for rows in self.reader.read_all(folder, [name]):
                    if rows is not None:
                        if names := strange_columns(rows):
                            self.strange.append((f"{folder}/{name}", names))
                        yield name, rows

    def step(self) -> None:
        """One file more."""
        self.done += 1
        self.tell(self.done, max(self.done, self.total))

    def trials(self) -> pa.Table:
        """The outcomes that count, and the file that each is in."""
        schema = columns_of("trials", _ROW).append(pa.field("file", pa.string()))
        tables = [
            rows.select(_ROW).append_column("file", pa.array([f"trials/{name}"] * len(rows), pa.string()))
            for name, rows in self.tables("trials")
        ]
        rows = joined(tables, schema)
        return rows.take(self.counts_of(rows))

    def records(self, folder: str, name: str, rows: list[dict[str, Any]], counting: set[Key]) -> Iterator[StoreProblem]:
        """Take rows of epochs, masks or weights into what is known of each outcome; check what is packed in them."""
        loose, file = loose_file(folder, name), f"{folder}/{name}"
        for row in rows:
            key = row["trial_id"], loose.outcome if loose else row[OUTCOME]
            if key not in counting or self.found[key].files.setdefault(folder, file) != file:
                continue  # it does not count, or is in a file of its own and in a fold
            mine = self.found[key]
            if folder == "epochs":
                mine.epochs.append(row["epoch"])
                continue
            if folder == "masks":
                mine.hashes.append((row["position"], row["hash"]))
                mine.masks[row["tensor"]] = row["shape"], row["kept"]
                mine.kept += row["kept"]
                mine.total += row["total"]
            else:
                mine.weight_hashes.append((row["position"], row["hash"]))
            for what in _mask(row) if folder == "masks" else _tensor(row, mine):
                yield StoreProblem(file, f"trial {row['trial_id']}, {row['tensor']}: {what}", _again(row["trial_id"]))

    def counts(self) -> Iterator[StoreProblem]:
        """Check every trial's row against its own config, and against its epochs and masks."""
        problems = [(row, problem) for row in self.rows for problem in self.trial(row)]
        suspects = {row["trial_id"] for row, _ in problems}
        stored = self.reader.all_rows("trials", suspects, RANK)
        still = keys_of(stored.take(self.counts_of(stored)))
        yield from (problem for row, problem in problems if (row["trial_id"], row[OUTCOME]) in still)

    def trial(self, row: Mapping[str, Any]) -> Iterator[StoreProblem]:
        """What is wrong with one trial."""
        name, key = row["trial_id"], (row["trial_id"], row[OUTCOME])
        for what in _identity(row):
            yield StoreProblem(row["file"], f"trial {name}: {what}", _again(name))
        found = self.found.get(key, _Found())
        for folder, check in (("epochs", _epochs), ("masks", _masks), ("weights", _weights)):
            if folder in found.files or not self.may_be_damaged(folder, key):  # or it is reported separately
                file = found.files.get(folder, outcome_file(folder, key))
                for what in check(row, found):
                    yield StoreProblem(file, f"trial {name}: {what}", _again(name))

    def may_be_damaged(self, folder: str, key: Key) -> bool:
        """Whether records that are nowhere to be found may be in a file that cannot be read."""
        names = [path.rpartition("/")[2] for path in self.reader.damaged if _folder(path) == folder]
        return outcome_file(folder, key) in {f"{folder}/{name}" for name in names} or any(
            loose_file(folder, name) is None for name in names
        )

    def damaged(self) -> Iterator[StoreProblem]:
        """Files that cannot be read, and what that takes away."""
        for path, why in self.reader.damaged.items():
            folder, name = _folder(path), path.rpartition("/")[2]
            file, loose = f"{folder}/{name}", loose_file(folder, name)
            if folder in ("trials", "sweeps"):
                yield StoreProblem(file, why, "launch its sweep again: it is set aside, and what was in it runs again")
            elif loose:
                yield StoreProblem(file, why, _again(loose.trial_id))
            else:
                lost = [row["trial_id"] for row in self.rows if self.lacks(folder, row)]
                more = f"; {folder} of {len(lost)} trials are in no other file" if lost else ""
                yield StoreProblem(file, why + more, _again(*lost))

    def lacks(self, folder: str, row: Mapping[str, Any]) -> bool:
        """Whether a trial should have epochs, masks or weights and they are nowhere to be found."""
        found = self.found.get((row["trial_id"], row[OUTCOME]), _Found())
        column = {"epochs": "epochs", "masks": "mask_hash", "weights": "kept_weights_hash"}[folder]
        return folder not in found.files and bool(row[column])

    def checkpoints(self) -> Iterator[StoreProblem]:
        """Check that trials can go on from where they are."""
        for name in self.store.files.names("checkpoints"):
            if name[0] in "._":
                continue
            self.step()
            trial_id, _, kind = name.partition(".")
            if not TRIAL_ID.fullmatch(trial_id) or kind != "pt":
                yield StoreProblem(f"checkpoints/{name}", "not a file of this store", "move it elsewhere")
                continue
            data = self.store.files.read(f"checkpoints/{name}")
            if data is not None and (why := _checkpoint(trial_id, data)):  # or it has ended since
                mend = "only the time since the trial began is lost: the next launch runs it from scratch"
                yield StoreProblem(f"checkpoints/{name}", why, mend)


def _all(rows: pa.Table) -> pa.Array:
    """The indices of all rows: in ``conflicts/`` every outcome is checked."""
    return pa.array(range(len(rows)), pa.int64())


def _mask(row: Mapping[str, Any]) -> Iterator[str]:
    if prod(row["shape"]) != row["total"]:
        yield f"its shape {row['shape']} has not {row['total']} weights"
        return
    try:
        mask = unpack(row["encoding"], row["packed"], row["shape"])
    except Exception as error:  # what is packed there may be anything
        yield f"its mask cannot be unpacked: {error}"
        return
    if digest(mask) != row["hash"]:
        yield "its mask has another hash than it was stored with"
    if int(mask.count_nonzero()) != row["kept"]:
        yield f"its mask keeps {int(mask.count_nonzero())} weights, not {row['kept']}"
    if row["effective_kept"] is not None and not 0 <= row["effective_kept"] <= row["kept"]:
        yield f"{row['effective_kept']} of {row['kept']} kept weights are recorded as lying on a path"


def _tensor(row: Mapping[str, Any], found: _Found) -> Iterator[str]:
    """What is wrong with one tensor of the final weights."""
    shape, count = row["shape"], prod(row["shape"])
    if row["masked"]:
        shape, count = found.masks.get(row["tensor"], (shape, -1))
    if count < 0:
        if "masks" in found.files:  # else the missing masks are reported
            yield "only its kept weights are stored, and it has no mask"
        return
    if shape != row["shape"]:
        yield f"its weights have the shape {row['shape']}, and its mask {shape}"
    try:
        check_packed(row["dtype"], row["values"], count)
    except ValueError as error:
        yield f"its weights cannot be unpacked: {error}"
        return
    if weights_digest(row["dtype"], row["values"], row["shape"]) != row["hash"]:
        yield "its weights have another hash than they were stored with"


def _identity(row: Mapping[str, Any]) -> Iterator[str]:
    if row["status"] not in STATUSES:
        yield f"its status {row['status']!r} is none of {', '.join(STATUSES)}"
    try:
        identity = stored_identity(json.loads(row["config"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"its config cannot be read: {error}"
        return
    if hashed(canonical(identity)) != row["trial_id"]:
        yield "its config is another trial's: it does not give this id"


def _epochs(row: Mapping[str, Any], found: _Found) -> Iterator[str]:
    if sorted(found.epochs) != list(range(1, row["epochs"] + 1)):
        yield f"it has finished {row['epochs']} epochs, and there are {len(found.epochs)}: {_some(found.epochs)}"


def _masks(row: Mapping[str, Any], found: _Found) -> Iterator[str]:
    if row["mask_hash"] is None:
        if found.hashes:
            yield f"it has no mask_hash, and there are {len(found.hashes)} masks"
        return
    if _joint_hash(found.hashes) != row["mask_hash"]:
        yield f"the {len(found.hashes)} masks that are there are not those that it ended with"
    elif row["status"] == COMPLETED:
        if (found.kept, found.total) != (row["kept"], row["prunable"]):
            yield f"its masks keep {found.kept} of {found.total} weights, it says {row['kept']} of {row['prunable']}"
        if row["kept"] != kept_count(row["prunable"], row["sparsity"]):
            yield f"{row['kept']} of {row['prunable']} kept weights are not a sparsity of {row['sparsity']}"


def _weights(row: Mapping[str, Any], found: _Found) -> Iterator[str]:
    if row["kept_weights_hash"] is None:
        if found.weight_hashes:
            yield f"it has no kept_weights_hash, and there are weights of {len(found.weight_hashes)} tensors"
        return
    if _joint_hash(found.weight_hashes) != row["kept_weights_hash"]:
        yield f"the weights of {len(found.weight_hashes)} tensors that are there are not those that it ended with"


def _joint_hash(hashes: Iterable[tuple[int, str]]) -> str:
    """The hash of all tensors' hashes, in the order of their positions."""
    return hashlib.sha256("".join(value for _, value in sorted(hashes)).encode()).hexdigest()


def _checkpoint(trial_id: str, data: bytes) -> str:
    try:
        state = checkpoint.load(data)
    except ValueError as error:
        return f"cannot be read: {error}"
    return "" if state.get("trial_id") == trial_id else f"it is of trial {state.get('trial_id')}"


def _folder(path: str) -> str:
    return path.split("/")[-2]


def _again(*trial_ids: str) -> str:
    more = f", and of {len(trial_ids) - _NAMED} more" if len(trial_ids) > _NAMED else ""
    return f"sweep retry {' '.join(trial_ids[:_NAMED])} --force{more}" if trial_ids else ""


def _some(numbers: list[int]) -> str:
    text = ", ".join(map(str, sorted(numbers)[:20]))
    return text + (", …" if len(numbers) > 20 else "") if numbers else "none"
