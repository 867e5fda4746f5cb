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

FOLD = "fold-"  # how the names of folds begin
_MOST_RANKS = 64
_FILES = 512  # read before their tables are joined
RANK = ["trial_id", "status", "written", OUTCOME]  # the columns that decide which outcome of a trial counts


class Reader:
    """Reads rows of files.

    A listed file may be gone when it is read, because its outcome was replaced or folded. Its replacement was stored
    before it was deleted, so a further listing shows the replacement: a read lists a folder until it shows no new file.
    One listing is not enough even if no file is missing: it may not show files that came or went during it.

    Attributes:
        damaged: the reason for every file that could not be read so far, by its path in the file system.
        single: the number of files that are no folds in the last listing of each folder.
    """

    def __init__(self, files: Files):
        self.files = files
        self.damaged: dict[str, str] = {}
        self.single: dict[str, int] = {}
        self._ranks: dict[str, pa.Table | None] = {}  # of each fold of trials: see _rank

    def forget(self) -> None:
        """Read all folds from their files again, to see whether they can be read."""
        self._ranks.clear()

    def names(self, folder: str) -> list[str]:
        """The names of the Parquet files in a folder, without hidden ones."""
        names = [name for name in self.files.names(folder) if name.endswith(".parquet") and name[0] not in "._"]
        self.single[folder] = sum(1 for name in names if not name.startswith(FOLD))
        return names

    def loose(self, folder: str, among: set[str] | None = None) -> list[Loose]:
        """The files of one outcome in a folder, of all trials or of those ``among``."""
        files = (loose_file(folder, name) for name in self.names(folder))
        return [file for file in files if file and (among is None or file.trial_id in among)]

    def unseen(self, folder: str, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[list[str]]:
        """The new names of each listing of a folder, until a listing has none."""
        seen: set[str] = set()
        while new := [name for name in self.names(folder) if name not in seen and wanted(name)]:
            yield new
            seen.update(new)

    def read(
        self, folder: str, name: str, columns: list[str] | None = None, among: set[str] | None = None
    ) -> pa.Table | None:
        """The rows of one file, or None if it is damaged.

        Raises:
            FileNotFoundError: the file is gone.
            InputError: the file was written by a newer version of sweep.
            StoreError: the store cannot be reached.
        """
        path = self.files.path(f"{folder}/{name}")
        try:
            rows = self._decoded(folder, name, columns, among)
            check_contents(folder, name, rows)
            return rows
        except InputError as error:  # its message lacks the path
            raise InputError(f"{path}: {error}") from None
        except Damaged as error:
            self.damaged[path] = str(error)
        except StoreError as error:
            if getattr(error.__cause__, "errno", None) != errno.EIO:
                raise
            self.damaged[path] = "the disk cannot read it"
        return None

    def all_rows(self, folder: str, among: set[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        """The rows of a folder, of all trials or of those ``among``, with outcomes that do not count."""

        def wanted(name: str) -> bool:
            loose = loose_file(folder, name)
            return among is None or loose is None or loose.trial_id in among

        tables, schema = [], columns_of(folder, columns)
        for names in self.unseen(folder, wanted):
            for batch in batched(names):
                read = self.read_all(folder, batch, columns, among)
                tables.append(joined([rows for rows in read if rows is not None], schema))
        return joined(tables, schema)

    def outcome_rows(self, folder: str, wanted: set[Key], columns: list[str] | None) -> tuple[list[pa.Table], set[Key]]:
        """The rows of these outcomes, and the outcomes without rows. A single file is preferred to a fold."""
        tables: list[pa.Table] = []
        left = set(wanted)

        def relevant(name: str) -> bool:
            loose = loose_file(folder, name)
            return loose.key in left if loose else bool(left)

        for names in self.unseen(folder, relevant):
            keys = {name: loose.key for name in names if (loose := loose_file(folder, name))}
            for batch in batched(list(keys)):
                read = dict(zip(batch, self.read_all(folder, batch, columns), strict=True))
                left -= {keys[name] for name, rows in read.items() if rows is not None}
                single = [_selected(rows, columns) for rows in read.values() if rows is not None]
                tables += [joined(single, single[0].schema)] if single else []
            for name in names:
                if name not in keys and left:
                    tables += self._folded(folder, name, left, columns)
        return tables, left

    def read_all(
        self, folder: str, names: Sequence[str], columns: list[str] | None = None, among: set[str] | None = None
    ) -> list[pa.Table | None]:
        """The rows of each file, None for one that is damaged or gone. Of folds, only the trials ``among``."""

        def one(name: str) -> pa.Table | None:
            try:
                return self.read(folder, name, columns, None if loose_file(folder, name) else among)
            except FileNotFoundError:  # a further listing shows its replacement
                return None

        if len(names) < 2:
            return [one(name) for name in names]
        with ThreadPoolExecutor(2 if self.files.local else 32) as pool:  # more threads read a local disk slower
            return list(pool.map(one, names))

    def _decoded(self, folder: str, name: str, columns: list[str] | None, among: set[str] | None) -> pa.Table:
        """The rows of a file. Single files are read into memory; of folds only the needed row groups are read."""
        path = f"{folder}/{name}"
        if folder == "trials" and columns is not None and set(columns) <= set(RANK) and name.startswith(FOLD):
            ranks = self._rank(name)
            if ranks is not None:
                rows = ranks.select(columns)
                return rows if among is None else rows.filter(pc.is_in(ranks["trial_id"], pa.array(among, pa.string())))
        if folder != "sweeps" and not loose_file(folder, name):
            try:
                with self.files.fs.open_input_file(self.files.path(path)) as source:
                    return decode(folder, source, columns, among)
            except FileNotFoundError:
                raise
            except (Damaged, OSError):  # damage, or a failed request? Reading all bytes decides
                pass
        data = self.files.read(path)
        if data is None:
            raise FileNotFoundError(path)
        return decode(folder, pa.BufferReader(data), columns, among)

    def _rank(self, name: str) -> pa.Table | None:
        """The columns :data:`RANK` of a fold of trials, which are kept in memory from its second reading on.

        A launch looks for each trial in each fold, and folds do not change. None at the first reading: a process that
        runs one trial reads the part of the fold that may have it.
        """
        if name not in self._ranks:
            if len(self._ranks) >= _MOST_RANKS:  # folds that have been merged since
                self._ranks.clear()
            self._ranks[name] = None
            return None
        if self._ranks[name] is None:
            try:
                with self.files.fs.open_input_file(self.files.path(f"trials/{name}")) as source:
                    self._ranks[name] = decode("trials", source, RANK)
            except FileNotFoundError:
                raise
            except (Damaged, InputError, OSError):  # the usual way of reading says what is wrong
                return None
        return self._ranks[name]

    def _folded(self, folder: str, name: str, left: set[Key], columns: list[str] | None) -> Iterator[pa.Table]:
        """The rows of a fold for the outcomes in ``left``, from which it removes those that it has."""
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
    """Names in batches of :data:`_FILES`, to bound memory: a small table takes more of it than its rows once joined."""
    return (names[start : start + _FILES] for start in range(0, len(names), _FILES))


def joined(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """All rows as one table. Its chunks are combined, because thousands of them slow down every operation."""
    table = pa.concat_tables([*tables, pa.Table.from_batches([], schema=schema)])
    return table if len(tables) < 2 else table.combine_chunks()


def keys_of(rows: pa.Table) -> set[Key]:
    """The outcomes in these rows."""
    distinct = rows.select(["trial_id", OUTCOME]).group_by(["trial_id", OUTCOME], use_threads=False).aggregate([])
    return set(zip(distinct["trial_id"].to_pylist(), distinct[OUTCOME].to_pylist(), strict=True))


def among_keys(rows: pa.Table, keys: set[Key]) -> pa.ChunkedArray:
    """Whether each row belongs to one of these outcomes: a boolean per row."""
    names = pc.binary_join_element_wise(rows["trial_id"], pc.fill_null(rows[OUTCOME], ""), "-")
    return pc.is_in(names, pa.array([f"{trial}-{outcome or ''}" for trial, outcome in keys], pa.string()))


def indices_that_count(rows: pa.Table) -> pa.Array:
    """For each trial the index of the row that counts: of its completed rows, else of all, the one written last."""
    numbered = pa.table(
        {
            "trial_id": rows["trial_id"],
            "completed": pc.cast(pc.equal(rows["status"], COMPLETED), pa.int8()),
            "written": rows["written"],
            OUTCOME: rows[OUTCOME],  # breaks ties independently of the reading order
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
