"""Reading a store's files while others write, replace and fold them."""

import errno
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc

from sweep.errors import InputError, StoreError
from sweep.records import COMPLETED, OUTCOME
from sweep.store.files import Files
from sweep.store.layout import Key, Loose, check_contents, loose_file
from sweep.store.parquet import Damaged, columns_of, decode

_FILES = 512  # held one by one
RANK = ["trial_id", "status", "written", OUTCOME]  # what it takes to tell which outcome of a trial counts


class Reader:
    """The rows of files.

    A file may be gone that has just been listed, since what is in it has been replaced or folded. What took its place
    was there before it went, so that a further listing has it: listings go on until one shows nothing new. One alone
    would not do even where no file goes missing: a listing need not show what came or went while it was made.

    Attributes:
        damaged: files that could not be read so far, as the file system names them, with the reason.
    """

    def __init__(self, files: Files):
        self.files = files
        self.damaged: dict[str, str] = {}

    def names(self, folder: str) -> list[str]:
        """All Parquet files in a folder, but hidden ones."""
        return [name for name in self.files.names(folder) if name.endswith(".parquet") and name[0] not in "._"]

    def loose(self, folder: str, among: set[str] | None = None) -> list[Loose]:
        """The files of single outcomes in a folder."""
        found = (loose_file(folder, name) for name in self.names(folder))
        return [each for each in found if each and (among is None or each.trial_id in among)]

    def unseen(self, folder: str, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[list[str]]:
        """Names of files, listing after listing, until one has none that are new."""
        seen: set[str] = set()
        while new := [name for name in self.names(folder) if name not in seen and wanted(name)]:
            yield new
            seen.update(new)

    def read(
        self, folder: str, name: str, columns: list[str] | None = None, among: set[str] | None = None
    ) -> pa.Table | None:
        """The rows of one file, or None if it is damaged.

        Raises:
            FileNotFoundError: it is not there any more.
            InputError: it was written by a newer version of sweep.
            StoreError: the store cannot be reached.
        """
        path = self.files.path(f"{folder}/{name}")
        try:
            rows = self._decoded(folder, name, columns, among)
            check_contents(folder, name, rows)
            return rows
        except InputError as error:  # whose text cannot say where
            raise InputError(f"{path}: {error}") from None
        except Damaged as error:
            self.damaged[path] = str(error)
        except StoreError as error:
            if getattr(error.__cause__, "errno", None) != errno.EIO:
                raise
            self.damaged[path] = "the disk cannot read it"
        return None

    def every(self, folder: str, among: set[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        """The rows of all files of a folder that may be about these trials, outcomes that do not count among them."""

        def wanted(name: str) -> bool:
            loose = loose_file(folder, name)
            return among is None or loose is None or loose.trial_id in among

        found, schema = [], columns_of(folder, columns)
        for names in self.unseen(folder, wanted):
            for some in batched(names):
                read = self.read_all(folder, some, columns, among)
                found.append(joined([rows for rows in read if rows is not None], schema))
        return joined(found, schema)

    def belonging(self, folder: str, wanted: set[Key], columns: list[str] | None) -> tuple[list[pa.Table], set[Key]]:
        """The rows of outcomes, each from its own file if that can be read, else from a fold; and which have none."""
        found: list[pa.Table] = []
        left = set(wanted)

        def relevant(name: str) -> bool:
            loose = loose_file(folder, name)
            return loose.key in left if loose else bool(left)

        for names in self.unseen(folder, relevant):
            keys = {name: loose.key for name in names if (loose := loose_file(folder, name))}
            for some in batched(list(keys)):
                read = dict(zip(some, self.read_all(folder, some, columns), strict=True))
                left -= {keys[name] for name, rows in read.items() if rows is not None}
                tables = [_selected(rows, columns) for rows in read.values() if rows is not None]
                found += [joined(tables, tables[0].schema)] if tables else []
            for name in names:
                if name not in keys and left:
                    found += self._folded(folder, name, left, columns)
        return found, left

    def read_all(
        self, folder: str, names: Sequence[str], columns: list[str] | None = None, among: set[str] | None = None
    ) -> list[pa.Table | None]:
        """The rows of files, None for what is damaged or has gone."""

        def one(name: str) -> pa.Table | None:
            try:
                return self.read(folder, name, columns, None if loose_file(folder, name) else among)
            except FileNotFoundError:  # and what took its place is in a further listing
                return None

        if len(names) < 2:
            return [one(name) for name in names]
        with ThreadPoolExecutor(2 if self.files.local else 32) as pool:  # more are in each other's way
            return list(pool.map(one, names))

    def _decoded(self, folder: str, name: str, columns: list[str] | None, among: set[str] | None) -> pa.Table:
        """Small files whole, of folds no more than what is wanted."""
        path = f"{folder}/{name}"
        if folder != "sweeps" and not loose_file(folder, name):
            try:
                with self.files.fs.open_input_file(self.files.path(path)) as source:
                    return decode(folder, source, columns, among)
            except FileNotFoundError:
                raise
            except (Damaged, OSError):  # the file, or the way to it? If it can be read whole, it was the file
                pass
        data = self.files.read(path)
        if data is None:
            raise FileNotFoundError(path)
        return decode(folder, pa.BufferReader(data), columns, among)

    def _folded(self, folder: str, name: str, left: set[Key], columns: list[str] | None) -> Iterator[pa.Table]:
        """Rows of a fold that are wanted. Takes what was found off ``left``."""
        keyed = None if columns is None else list(dict.fromkeys([*columns, "trial_id", OUTCOME]))
        try:
            rows = self.read(folder, name, keyed, {trial for trial, _ in left})
        except FileNotFoundError:
            return
        if rows is not None:
            rows = rows.filter(among_keys(rows, left))
            left -= keys_of(rows)
            yield _selected(rows, columns)


def batched(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Names of as many files as are to be held one by one: each takes more room than its rows do later."""
    return (names[start : start + _FILES] for start in range(0, len(names), _FILES))


def joined(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """All rows as one table, in few pieces: thousands make everything slow that is done with it."""
    whole = pa.concat_tables([*tables, pa.Table.from_batches([], schema=schema)])
    return whole if len(tables) < 2 else whole.combine_chunks()


def keys_of(rows: pa.Table) -> set[Key]:
    """Which outcomes rows are of."""
    found = rows.select(["trial_id", OUTCOME]).group_by(["trial_id", OUTCOME], use_threads=False).aggregate([])
    return set(zip(found["trial_id"].to_pylist(), found[OUTCOME].to_pylist(), strict=True))


def among_keys(rows: pa.Table, keys: set[Key]) -> pa.ChunkedArray:
    """Whether each row is of one of these outcomes."""
    names = pc.binary_join_element_wise(rows["trial_id"], pc.fill_null(rows[OUTCOME], ""), "-")
    return pc.is_in(names, pa.array([f"{trial}-{outcome or ''}" for trial, outcome in keys], pa.string()))


def that_count(rows: pa.Table) -> pa.Array:
    """Indices of the outcome of each trial that counts: completed before others, then the one written last."""
    numbered = pa.table(
        {
            "trial_id": rows["trial_id"],
            "completed": pc.cast(pc.equal(rows["status"], COMPLETED), pa.int8()),
            "written": rows["written"],
            OUTCOME: rows[OUTCOME],  # settles what was written at the same moment, in whatever order it is read
            "index": pa.array(range(len(rows)), pa.int64()),
        }
    )
    if pc.count_distinct(numbered["trial_id"]).as_py() == len(rows):
        return numbered["index"].combine_chunks()
    order = [(name, "descending") for name in ("completed", "written", OUTCOME)]
    best = numbered.sort_by([("trial_id", "ascending"), *order])
    names = best["trial_id"].to_pylist()
    first = [number for number, name in enumerate(names) if number == 0 or name != names[number - 1]]
    return best["index"].take(pa.array(first, pa.int64())).combine_chunks().sort()


def _selected(rows: pa.Table, columns: list[str] | None) -> pa.Table:
    return rows.drop_columns([OUTCOME]) if columns is None else rows.select(columns)
