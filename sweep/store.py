"""The store: the sweep's only state, and the only file that touches Parquet.

    trials/<trial_id>.parquet    one row: the trial
    epochs/<trial_id>.parquet    one row an epoch
    masks/<trial_id>.parquet     one row a masked tensor

under a local folder or any ``pyarrow.fs`` URI (``s3://…``, ``gs://…``). Plain Parquet: pandas, Polars and DuckDB
read it. What it promises:

* A file is whole or absent. Each is serialised in memory first; locally it is written beside its place, synced
  and renamed, on an object store it is put in one request.
* The trial's row is written last: where it says ``completed``, mask and epochs are there.
* Nothing exists until something is stored: reading an absent store is reading an empty one.
* A damaged file never hides the others: it is left out and named in :attr:`Store.damaged`.
"""

import os
import tempfile
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from sweep.errors import InputError
from sweep.records import (
    COMPLETED,
    SCHEMA_VERSION,
    EpochRecord,
    MaskRecord,
    Outcome,
    TrialRecord,
    schema,
    table,
    trial_record,
)

FOLDERS: dict[str, type] = {"trials": TrialRecord, "epochs": EpochRecord, "masks": MaskRecord}


class Store:
    """The records of any number of sweeps.

    Attributes:
        uri: an absolute path or a URI, as given.
        local: the folder, or None for a store that is not on a local disk.
        damaged: files that could not be read so far, with the reason.

    Raises:
        InputError: not a folder, not a known kind of URI.
    """

    def __init__(self, uri: str | Path):
        text = os.path.expanduser(str(uri))
        if "://" not in text:
            text = os.path.abspath(text)
        self._fs: pafs.FileSystem = pafs.LocalFileSystem()
        self._root: str = text
        try:
            if "://" in text:
                self._fs, self._root = pafs.FileSystem.from_uri(text)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(f"store: {uri}: {error}; use a folder, s3://bucket/prefix or gs://bucket/prefix") from None
        self.uri = text
        self.local = Path(self._root) if isinstance(self._fs, pafs.LocalFileSystem) else None
        self.damaged: dict[str, str] = {}
        if self.local is not None and self.local.exists() and not self.local.is_dir():
            raise InputError(f"store: {self.local} is a file; name a folder, with --set store=DIR")

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return Store, (self.uri,)

    def check_writable(self) -> None:
        """Make sure, before hours of work, that records can be kept. Leaves nothing behind.

        Raises:
            InputError: the folder cannot be made or written to, or the bucket cannot be reached.
        """
        try:
            if self.local is None:
                self._fs.get_file_info(self._root)
                return
            nearest = next(folder for folder in (self.local, *self.local.parents) if folder.exists())
            with tempfile.TemporaryFile(dir=nearest):
                pass
        except OSError as error:
            raise InputError(
                f"store: cannot write to {self._root}: {error}; name another with --set store=DIR"
            ) from None

    def write(self, outcome: Outcome) -> TrialRecord:
        """Store all records of one trial, its row last. An earlier outcome of the same trial is replaced.

        Returns:
            The trial's record, with the size of its mask file.
        """
        name, trial = outcome.trial.trial_id, outcome.trial
        if outcome.masks:
            trial = replace(trial, mask_bytes=self._put("masks", name, table(MaskRecord, outcome.masks)))
        if outcome.epochs:
            self._put("epochs", name, table(EpochRecord, outcome.epochs))
        self._put("trials", name, table(TrialRecord, [trial]))
        return trial

    def trials(self) -> pa.Table:
        """All trials' rows, in order of file name."""
        return self._all("trials")

    def epochs(self, trial_ids: Iterable[str] | None = None) -> pa.Table:
        """Epochs of the given trials, or of all."""
        return self._all("epochs", trial_ids)

    def masks(self, trial_ids: Iterable[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        """Masked tensors of the given trials, or of all."""
        return self._all("masks", trial_ids, columns)

    def trial(self, trial_id: str) -> TrialRecord | None:
        """One trial's record."""
        path = self._path("trials", trial_id)
        found = self._fs.get_file_info(path).type == pafs.FileType.File
        rows = self._read(TrialRecord, None, path) if found else None
        return None if rows is None else trial_record(rows.to_pylist()[0])

    def statuses(self, among: Iterable[str] | None = None) -> dict[str, str]:
        """Status by trial id, of the given trials or of all that have a row."""
        rows = self._all("trials", among, ["trial_id", "status"]).to_pylist()
        return {row["trial_id"]: row["status"] for row in rows}

    def completed(self, among: Iterable[str] | None = None) -> set[str]:
        """Trials that need not run again."""
        return {name for name, status in self.statuses(among).items() if status == COMPLETED}

    def _put(self, folder: str, name: str, rows: pa.Table) -> int:
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, rows.schema, compression="zstd", **_layout(folder, rows.schema)) as writer:
            writer.write_table(rows)
            writer.add_key_value_metadata(rows.schema.metadata)  # which store_schema=False leaves out
        data = sink.getvalue()
        path = self._path(folder, name)
        if self.local is None:
            with self._fs.open_output_stream(path) as stream:
                stream.write(data)
        else:
            _write_atomically(Path(path), data)
        return int(data.size)

    def _path(self, folder: str, name: str) -> str:
        return f"{self._root}/{folder}/{name}.parquet"

    def _files(self, folder: str) -> list[str]:
        selector = pafs.FileSelector(f"{self._root}/{folder}", allow_not_found=True)
        files = (info for info in self._fs.get_file_info(selector) if info.type == pafs.FileType.File)
        return sorted(f.path for f in files if f.extension == "parquet" and not f.base_name.startswith((".", "_")))

    def _all(self, folder: str, trial_ids: Iterable[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        record = FOLDERS[folder]
        files = self._files(folder)
        if trial_ids is not None:
            wanted = set(trial_ids)
            files = [path for path in files if Path(path).stem in wanted]
        with ThreadPoolExecutor(max_workers=8) as pool:
            pieces = [piece for piece in pool.map(partial(self._read, record, columns), files) if piece is not None]
        empty = pa.Table.from_batches([], schema=_columns(record, columns))
        return pa.concat_tables([*pieces, empty])

    def _read(self, record: type, columns: list[str] | None, path: str) -> pa.Table | None:
        """One file in today's schema, or None if it is damaged."""
        try:
            with self._fs.open_input_file(path) as source:
                rows = pq.ParquetFile(source).read(columns=columns)
        except (pa.ArrowException, OSError) as error:
            self.damaged[path] = str(error).partition("\n")[0]
            return None
        metadata = rows.schema.metadata or {}
        version = metadata.get(b"sweep.schema", b"").decode()
        if not version.isdigit():
            self.damaged[path] = "not a file of this store: it carries no sweep.schema"
            return None
        if int(version) > SCHEMA_VERSION:
            raise InputError(
                f"{path}: written by a newer version of sweep (schema {version}, this one reads up to"
                f" {SCHEMA_VERSION}); upgrade sweep, or name another store with --set store=DIR"
            )
        wanted = _columns(record, columns)
        try:
            arrays = [rows[f.name] if f.name in rows.column_names else pa.nulls(len(rows), f.type) for f in wanted]
            return pa.table([a.cast(f.type) for a, f in zip(arrays, wanted, strict=True)], schema=wanted)
        except (pa.ArrowException, ValueError) as error:
            self.damaged[path] = str(error).partition("\n")[0]
            return None


def _layout(folder: str, columns: pa.Schema) -> dict[str, Any]:
    """Parquet settings by folder.

    A mask file has a row a layer, so that at 99.5 % its frame is a tenth of it: no statistics, dictionaries or second
    schema, and the encodings that make short columns shortest.
    """
    if folder != "masks":
        return {"compression_level": 3}
    whole_numbers = [column.name for column in columns if column.type == pa.int64()]
    return {
        "compression_level": 19,
        "use_dictionary": False,
        "column_encoding": {
            "packed": "DELTA_LENGTH_BYTE_ARRAY",
            "shape.list.element": "BYTE_STREAM_SPLIT",
            **dict.fromkeys(whole_numbers, "BYTE_STREAM_SPLIT"),
            "position": "DELTA_BINARY_PACKED",
        },
        "write_statistics": False,
        "store_schema": False,  # a copy of the schema for Arrow alone; Parquet's own says the same
    }


def _columns(record: type, names: list[str] | None) -> pa.Schema:
    whole = schema(record)
    return whole if names is None else pa.schema([whole.field(name) for name in names], metadata=whole.metadata)


def _write_atomically(path: Path, data: pa.Buffer) -> None:
    """Write beside ``path``, sync, rename: after a crash the file is whole or as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
