"""Folding: merge the many small files of a store into a few big ones (folds), which read a hundred times faster.

``sweep compact`` and the end of a launch fold all folders. A launch that runs folds ``trials/`` alone whenever it has
:data:`MANY` single files (:class:`sweep.store.claims.Claims`): this folder is listed for each trial that is taken and
for each that is written, so without it, the bytes of a sweep's listings would grow with the square of its trials. Folds
of ``trials/`` are merged only with folds of their size or less: a row is rewritten a number of times that grows with
the logarithm of the trials, and so does the number of folds.

No file is changed in place, so other processes may read and write meanwhile. Folds are written first, those of trials
last; then the files that were merged are deleted. Outcomes that are still being written are not touched: a file of
epochs, masks or weights stays until a trial's row has its outcome. A reader may see an outcome twice, which it counts
once, or miss a file that it has listed; then it lists again.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa

from sweep.errors import InputError
from sweep.records import OUTCOME
from sweep.store.files import Entry
from sweep.store.layout import Key, loose_file, outcome_file
from sweep.store.leases import Leases
from sweep.store.parquet import OF_OUTCOMES, columns_of, encode_fold, strange_columns
from sweep.store.reader import FOLD, RANK, among_keys, indices_that_count, joined, keys_of
from sweep.store.store import Store

BYTES_A_FOLD = 128 << 20  # in memory
FOLDS = 8  # of trials: this many are merged again
MANY = 500  # single files in a folder: from here on a launch folds its store
ORPHANED = 86400.0  # seconds after which no process is still going to write the row for a file's outcome
_KEY = "fold"  # the claim of the process that folds
_FILES, _BYTES = 512, 32 << 20  # read at once

Tell = Callable[[int, int], None]  # files read so far, of how many


@dataclass(frozen=True)
class Folded:
    """The number of Parquet files before and after a folding."""

    before: int
    after: int


def is_slow(store: Store, folders: Sequence[str] = ("trials",)) -> bool:
    """Whether one of the folders has so many single files that commands that read it take seconds."""
    return any(len(store.loose(folder)) >= MANY for folder in folders)


def fold(store: Store, tell: Tell = lambda done, total: None) -> Folded:
    """Merge the small files of a store; merge its folds too once there are :data:`FOLDS` of them.

    Args:
        store: the store, of any size.
        tell: called with the progress.

    Raises:
        StoreError: the store is full or unreachable. Its records are unchanged.
        InputError: another process is folding it.
    """
    with Leases(store.files).held() as leases:
        other = leases.claim(_KEY)
        if other is not None:
            raise InputError(f"store: {store.name} is being folded by {other}; wait for it to end")
        return _run(_Folding(store, tell))


def fold_trials(store: Store, leases: Leases) -> None:
    """Merge the single files of ``trials/`` for a launch that runs. Does nothing while another process folds the store.

    Args:
        store: the store, of any size.
        leases: of the launch.

    Raises:
        StoreError: the store is full or unreachable. Its records are unchanged.
        InputError: a file was written by a newer version of sweep.
    """
    if leases.claim(_KEY) is None:
        try:
            _run(_Folding(store, of_outcomes=()))
        finally:
            leases.release(_KEY)


def _run(folding: "_Folding") -> Folded:
    try:
        return folding.run()
    except BaseException:  # Ctrl-C too: an incomplete set of folds has no use
        folding.undo()
        raise


class _Folding:
    """One folding, of ``trials/`` and the folders ``of_outcomes``."""

    def __init__(self, store: Store, tell: Tell = lambda done, total: None, of_outcomes: Sequence[str] = OF_OUTCOMES):
        self.store, self.reader, self.tell, self.of_outcomes = store, store.reader, tell, of_outcomes
        self.name = uuid.uuid4().hex[:8]
        self.done = self.total = 0
        self.deleting = False
        self.put: list[str] = []  # the folds
        self.obsolete: list[str] = []  # files to delete at the end: merged into a fold, or replaced

    def run(self) -> Folded:
        self.reader.forget()
        listed = {folder: self._parquet(folder) for folder in ("trials", *self.of_outcomes)}
        before = sum(map(len, listed.values()))
        loose = [entry for entry in listed["trials"] if loose_file("trials", entry.name)]
        folds = [entry for entry in listed["trials"] if not loose_file("trials", entry.name)]
        self.total = sum(1 for folder, entries in listed.items() for entry in entries if loose_file(folder, entry.name))
        if not self.total and len(folds) < FOLDS:
            return Folded(before, before)
        ranks, all_read = self._trials(folds, RANK)  # an unreadable trials fold may be repaired: keep all folds then
        merged = _of_like_size(folds) if len(folds) >= FOLDS and all_read else []
        if merged:
            ranks, _ = self._trials([fold for fold in folds if fold not in merged], RANK)
        rows, _ = self._trials([*loose, *merged], None)
        outcomes = joined([rows.select(RANK), ranks], columns_of("trials", RANK))
        counting = indices_that_count(outcomes)
        kept = rows.take(pa.array([index for index in counting.to_pylist() if index < len(rows)], pa.int64()))
        counted = keys_of(outcomes.take(counting))
        for folder in self.of_outcomes:
            self._outcomes(folder, listed[folder], counted, keys_of(outcomes) - counted, bool(merged))
        if not self.of_outcomes:  # what belongs to rows that are dropped now would belong to none
            dropped = keys_of(rows) - counted
            self.obsolete += [outcome_file(folder, key) for folder in OF_OUTCOMES for key in dropped]
        for number, piece in enumerate(_parts(kept)):
            self._put("trials", number, piece)
        self._delete()
        return Folded(before, sum(len(self._parquet(folder)) for folder in listed))

    def _trials(self, entries: list[Entry], columns: list[str] | None) -> tuple[pa.Table, bool]:
        """The rows of trials files, and whether all of these files could be read."""
        tables, schema, all_read = [], columns_of("trials", columns), True
        for read in self._read("trials", entries, columns):
            tables.append(joined([rows for rows in read.values() if rows is not None], schema))
            all_read = all_read and all(rows is not None for rows in read.values())
            if columns is None:
                self.obsolete += [f"trials/{name}" for name, rows in read.items() if rows is not None]
        return joined(tables, schema), all_read

    def _outcomes(self, folder: str, entries: list[Entry], counted: set[Key], replaced: set[Key], merge: bool) -> None:
        """Fold the epochs, masks or weights of the outcomes that count."""
        loose, folds = [], []
        for entry in entries:
            file = loose_file(folder, entry.name)
            if file is None:
                folds.append(entry)
            elif file.key in counted:
                loose.append(entry)
            elif file.key in replaced or self._is_orphan(folder, entry):
                self.obsolete.append(file.name)
        small = [entry for entry in folds if entry.size < BYTES_A_FOLD // 4] if merge else []
        for number, piece in enumerate(_pieces(self._rows(folder, loose, small, counted))):
            self._put(folder, number, piece)

    def _rows(self, folder: str, loose: list[Entry], folds: list[Entry], counted: set[Key]) -> Iterator[pa.Table]:
        """The rows of these outcomes, each once."""
        left = set(counted)
        for read in self._read(folder, loose, None):
            tables = {name: _with_outcome(folder, name, rows) for name, rows in read.items() if rows is not None}
            left -= {key for name in tables if (key := _key(folder, name))}
            self.obsolete += [f"{folder}/{name}" for name in tables]
            yield joined(list(tables.values()), columns_of(folder, None))
        for read in self._read(folder, folds, None):
            for name, rows in read.items():
                if rows is not None:
                    rows = rows.filter(among_keys(rows, left))
                    left -= keys_of(rows)
                    self.obsolete.append(f"{folder}/{name}")
                    yield rows

    def _read(
        self, folder: str, entries: Iterable[Entry], columns: list[str] | None
    ) -> Iterator[dict[str, pa.Table | None]]:
        """The rows of these files by name, a batch at a time; None for a file that is gone or must not be changed."""
        for names in _batches(entries):
            read = dict(zip(names, self.reader.read_all(folder, names, columns), strict=True))
            yield {name: None if rows is None or strange_columns(rows) else rows for name, rows in read.items()}
            self.done = min(self.done + len(names), self.total)
            self.tell(self.done, self.total)

    def _is_orphan(self, folder: str, entry: Entry) -> bool:
        """Whether no trial's row will ever have this file's outcome, because its writer was killed."""
        return not self.reader.damaged and entry.changed < time.time() - ORPHANED

    def _put(self, folder: str, number: int, rows: pa.Table) -> None:
        name = f"{folder}/{FOLD}{self.name}-{number:03}.parquet"
        self.store.files.put(name, encode_fold(rows))
        self.put.append(name)

    def undo(self) -> None:
        """Delete the folds, which take room on a full disk, unless files that they replace are already deleted."""
        if not self.deleting:
            with contextlib.suppress(OSError):
                self.store.files.delete(*reversed(self.put))

    def _delete(self) -> None:
        """Delete trials' files first: a stop in between then leaves files without a row, not a row without files."""
        self.deleting = True
        for folder in ("trials", *OF_OUTCOMES):
            self.store.files.delete(*(name for name in self.obsolete if name.startswith(f"{folder}/")))

    def _parquet(self, folder: str) -> list[Entry]:
        entries = self.store.files.entries(folder)
        return [entry for entry in entries if entry.name.endswith(".parquet") and entry.name[0] not in "._"]


def _key(folder: str, name: str) -> Key | None:
    loose = loose_file(folder, name)
    return loose.key if loose else None


def _with_outcome(folder: str, name: str, rows: pa.Table) -> pa.Table:
    """The rows of a single file, with the outcome from its name in their outcome column."""
    _, outcome = _key(folder, name) or (None, None)
    index = rows.column_names.index(OUTCOME)
    return rows.set_column(index, rows.field(index), pa.array([outcome] * len(rows), pa.string()))


def _of_like_size(folds: Sequence[Entry]) -> list[Entry]:
    """The folds to merge: all up to the last one that is at most twice as big as the smaller ones together."""
    by_size = sorted(folds, key=lambda fold: fold.size)
    below = list(accumulate((fold.size for fold in by_size), initial=0))
    like = [number for number, fold in enumerate(by_size) if fold.size <= 2 * below[number]]
    return by_size[: like[-1] + 1] if like else []


def _batches(entries: Iterable[Entry]) -> Iterator[list[str]]:
    """Names of files to read at once: at most :data:`_FILES`, of :data:`_BYTES` together or one bigger file."""
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
    """The same rows in non-empty tables of about the size of a fold. The rows of a trial stay together."""
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
    """A table with one row per trial, in parts of about the size of a fold."""
    rows = max(1, len(table) * BYTES_A_FOLD // max(1, table.nbytes))
    for start in range(0, len(table), rows):
        yield table.slice(start, rows)
