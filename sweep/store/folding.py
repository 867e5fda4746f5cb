"""Folding: the many small files of a store made a few big ones, which are read a hundred times as fast.

Nothing is changed in place, so readers and writers may go on: folds are written first, the trials' last, and only then
the files that are in them are deleted, by name. What a writer is at is no part of it: a file of epochs or masks is left
alone as long as no row of a trial names its outcome. Who reads meanwhile may find an outcome twice and counts it once,
or a file gone that it has just listed, and lists again.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from sweep.errors import InputError
from sweep.records import OUTCOME
from sweep.store.files import Entry
from sweep.store.layout import Key, loose_file
from sweep.store.leases import Leases
from sweep.store.parquet import columns_of, encode_fold, strange_columns
from sweep.store.reading import RANK, among_keys, joined, keys_of, that_count
from sweep.store.store import Store

BYTES_A_FOLD = 128 << 20  # in memory
FOLDS = 8  # of trials: more of them are made one again
MANY = 500  # trials in files of their own from which on a launch folds its store
ORPHANED = 86400.0  # seconds after which nobody is still to name the outcome that a file is of
_KEY = "fold"  # what is claimed by whoever folds
_FILES, _BYTES = 512, 32 << 20  # read at once

Tell = Callable[[int, int], None]  # files read so far, of how many


@dataclass(frozen=True)
class Folded:
    """What a folding did: files before and after."""

    before: int
    after: int


def is_slow(store: Store) -> bool:
    """Whether so many trials lie in files of their own that every command takes seconds to read them."""
    return len(store.loose("trials")) >= MANY


def fold(store: Store, tell: Tell = lambda done, total: None) -> Folded:
    """Fold the small files of a store, and once there are :data:`FOLDS` of them, the folds.

    Args:
        store: of any size.
        tell: told how far it is.

    Raises:
        StoreError: the store is full or gone. It reads as before.
        InputError: somebody else is folding it.
    """
    with Leases(store.files).held() as leases:
        other = leases.claim(_KEY)
        if other is not None:
            raise InputError(f"store: {store.name} is being folded by {other}; wait for it to end")
        folding = _Folding(store, tell)
        try:
            return folding.run()
        except BaseException:  # Ctrl-C too: half a fold is nothing to anybody
            folding.undo()
            raise


class _Folding:
    """One folding. Attributes are what it has found out on its way."""

    def __init__(self, store: Store, tell: Tell):
        self.store, self.reader, self.tell = store, store.reader, tell
        self.name = uuid.uuid4().hex[:8]
        self.done = self.total = 0
        self.deleting = False
        self.put: list[str] = []  # the folds
        self.gone: list[str] = []  # what may be deleted at the end: it is in a fold, or has been replaced

    def run(self) -> Folded:
        """All of it."""
        listed = {folder: self._parquet(folder) for folder in ("trials", "epochs", "masks")}
        before = sum(map(len, listed.values()))
        loose = [entry for entry in listed["trials"] if loose_file("trials", entry.name)]
        folds = [entry for entry in listed["trials"] if not loose_file("trials", entry.name)]
        self.total = sum(1 for folder, entries in listed.items() for entry in entries if loose_file(folder, entry.name))
        if not self.total and len(folds) < FOLDS:
            return Folded(before, before)
        ranks, whole = self._trials(folds, RANK)  # of a fold that cannot be read the rest of it is not thrown away
        merged = folds if len(folds) >= FOLDS and whole else []
        rows, _ = self._trials([*loose, *merged], None)
        every = joined([rows.select(RANK), *([] if merged else [ranks])], columns_of("trials", RANK))
        counting = that_count(every)
        mine = rows.take(pa.array([place for place in counting.to_pylist() if place < len(rows)], pa.int64()))
        counted = keys_of(every.take(counting))
        for folder in ("masks", "epochs"):
            self._outcomes(folder, listed[folder], counted, keys_of(every) - counted, bool(merged))
        for number, piece in enumerate(_parts(mine)):
            self._put("trials", number, piece)
        self._delete()
        return Folded(before, sum(len(self._parquet(folder)) for folder in listed))

    def _trials(self, entries: list[Entry], columns: list[str] | None) -> tuple[pa.Table, bool]:
        """The rows of files of trials, and whether all of them could be read."""
        found, schema, whole = [], columns_of("trials", columns), True
        for read in self._read("trials", entries, columns):
            found.append(joined([rows for rows in read.values() if rows is not None], schema))
            whole = whole and all(rows is not None for rows in read.values())
            if columns is None:
                self.gone += [f"trials/{name}" for name, rows in read.items() if rows is not None]
        return joined(found, schema), whole

    def _outcomes(self, folder: str, entries: list[Entry], counted: set[Key], replaced: set[Key], merge: bool) -> None:
        """Fold the epochs or masks of the outcomes that count."""
        loose, folds = [], []
        for entry in entries:
            found = loose_file(folder, entry.name)
            if found is None:
                folds.append(entry)
            elif found.key in counted:
                loose.append(entry)
            elif found.key in replaced or self._is_orphan(folder, entry):
                self.gone.append(found.name)
        small = [entry for entry in folds if entry.size < BYTES_A_FOLD // 4] if merge else []
        for number, piece in enumerate(_pieces(self._rows(folder, loose, small, counted))):
            self._put(folder, number, piece)

    def _rows(self, folder: str, loose: list[Entry], folds: list[Entry], counted: set[Key]) -> Iterator[pa.Table]:
        """The rows of these outcomes, each once."""
        left = set(counted)
        for read in self._read(folder, loose, None):
            tables = {name: _with_outcome(folder, name, rows) for name, rows in read.items() if rows is not None}
            left -= {key for name in tables if (key := _key(folder, name))}
            self.gone += [f"{folder}/{name}" for name in tables]
            yield joined(list(tables.values()), columns_of(folder, None))
        for read in self._read(folder, folds, None):
            for name, rows in read.items():
                if rows is not None:
                    rows = rows.filter(among_keys(rows, left))
                    left -= keys_of(rows)
                    self.gone.append(f"{folder}/{name}")
                    yield rows

    def _read(
        self, folder: str, entries: Iterable[Entry], columns: list[str] | None
    ) -> Iterator[dict[str, pa.Table | None]]:
        """The rows of these files, some at once; None for what is to be left as it is, or is not there any more."""
        for names in _batches(entries):
            read = dict(zip(names, self.reader.read_all(folder, names, columns), strict=True))
            yield {name: None if rows is None or strange_columns(rows) else rows for name, rows in read.items()}
            self.done = min(self.done + len(names), self.total)
            self.tell(self.done, self.total)

    def _is_orphan(self, folder: str, entry: Entry) -> bool:
        """Whether a file is of an outcome that nobody will name any more: its writer was killed."""
        return not self.reader.damaged and entry.changed < time.time() - ORPHANED

    def _put(self, folder: str, number: int, rows: pa.Table) -> None:
        name = f"{folder}/fold-{self.name}-{number:03}.parquet"
        self.store.files.put(name, encode_fold(rows))
        self.put.append(name)

    def undo(self) -> None:
        """Delete the folds again, which take room on a full disk, unless they are all that there is by now."""
        if not self.deleting:
            with contextlib.suppress(OSError):
                self.store.files.delete(*reversed(self.put))

    def _delete(self) -> None:
        """Files of trials first: what is left if we are stopped here is an outcome without a row, not the reverse."""
        self.deleting = True
        for folder in ("trials", "masks", "epochs"):
            self.store.files.delete(*(name for name in self.gone if name.startswith(f"{folder}/")))

    def _parquet(self, folder: str) -> list[Entry]:
        entries = self.store.files.entries(folder)
        return [entry for entry in entries if entry.name.endswith(".parquet") and entry.name[0] not in "._"]


def _key(folder: str, name: str) -> Key | None:
    loose = loose_file(folder, name)
    return loose.key if loose else None


def _with_outcome(folder: str, name: str, rows: pa.Table) -> pa.Table:
    """The rows of a file of one outcome with what only its name says."""
    _, outcome = _key(folder, name) or (None, None)
    place = rows.column_names.index(OUTCOME)
    return rows.set_column(place, rows.field(place), pa.array([outcome] * len(rows), pa.string()))


def _batches(entries: Iterable[Entry]) -> Iterator[list[str]]:
    """Names of files to be read at once: not too many, and not too big."""
    names: list[str] = []
    size = 0
    for entry in entries:
        if names and (len(names) == _FILES or size + entry.size > _BYTES):
            yield names
            names, size = [], 0
        names.append(entry.name)
        size += entry.size
    if names:
        yield names


def _pieces(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables that are not too big, none of which is empty. A trial's stay together."""
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        held.append(table)
        size += table.nbytes
        if size >= BYTES_A_FOLD:
            yield pa.concat_tables(held)
            held, size = [], 0
    if sum(map(len, held)):
        yield pa.concat_tables(held)


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    """A table of a row a trial in parts of about the size of a fold."""
    rows = max(1, len(table) * BYTES_A_FOLD // max(1, table.nbytes))
    for start in range(0, len(table), rows):
        yield table.slice(start, rows)
