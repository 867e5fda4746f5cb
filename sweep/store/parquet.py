"""Records to the bytes of a Parquet file and back, in the current schema."""

import functools
from bisect import bisect_left
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweep.errors import InputError
from sweep.records import (
    OUTCOME,
    SCHEMA_VERSION,
    EpochRecord,
    MaskRecord,
    SweepRecord,
    TrialRecord,
    WeightRecord,
    schema,
)

FOLDERS: dict[str, type] = {
    "trials": TrialRecord,
    "epochs": EpochRecord,
    "masks": MaskRecord,
    "weights": WeightRecord,
    "sweeps": SweepRecord,
}
OF_OUTCOMES = ("epochs", "masks", "weights")  # folders of what belongs to the outcome of a trial's row
_STRANGE = b"sweep.strange"
_ROWS_A_GROUP = 4096  # of a fold: the least that is read of it
_BYTES_A_GROUP = 8 << 20  # of a fold of weights, about


class Damaged(ValueError):
    """A file that is incomplete, corrupt, or not the kind of file that its folder and name require."""


def encode(folder: str, rows: pa.Table) -> pa.Buffer:
    """The bytes of a file with these rows of one trial."""
    return _encode(rows, _layout(folder, rows.schema))


def encode_fold(rows: pa.Table) -> pa.Buffer:
    """The bytes of a file with these rows of many trials, sorted by trial: a few are read without the rest."""
    size = _ROWS_A_GROUP // 16 if "packed" in rows.column_names else _ROWS_A_GROUP
    if "values" in rows.column_names:
        size = max(1, len(rows) * _BYTES_A_GROUP // max(1, rows.nbytes))
    return _encode(rows.combine_chunks().sort_by("trial_id"), {}, row_group_size=size)


def decode(folder: str, source: Any, columns: list[str] | None = None, among: set[str] | None = None) -> pa.Table:
    """The rows of a file, of all trials or of those ``among``, in the current schema. Columns added later are null.

    Args:
        folder: a key of :data:`FOLDERS`, which decides the record class.
        source: the file, opened by pyarrow.
        columns: names of columns; None for all, with :data:`OUTCOME`.
        among: trial ids.

    Raises:
        Damaged: the file is incomplete, corrupt, or not a file of this folder.
        InputError: the file was written by a newer version of sweep.
    """
    wanted = columns_of(folder, columns)
    try:
        file = pq.ParquetFile(
            source, page_checksum_verification=True, pre_buffer=not isinstance(source, pa.BufferReader)
        )
        stored = file.schema_arrow
        _check_version(folder, stored.metadata or {})
        present = set(stored.names)
        if strange := present - set(columns_of(folder, None).names):
            wanted = wanted.with_metadata({**wanted.metadata, _STRANGE: ", ".join(sorted(strange))})
        rows = _rows(file, [name for name in wanted.names if name in present], among)
        by_name = dict(zip(rows.column_names, rows.columns, strict=True))
        decoded = pa.table([_column(by_name.get(f.name), f, len(rows)) for f in wanted], schema=wanted)
        decoded.validate(full=True)  # now, because invalid UTF-8 would otherwise raise where the text is first used
        return decoded
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError) as error:
        if isinstance(error, InputError | FileNotFoundError):
            raise
        raise Damaged(str(error).partition("\n")[0]) from error


def renewed(folder: str, data: bytes) -> Any:
    """The bytes of a file of one trial as this version writes them: the same bytes if it wrote them.

    Raises:
        Damaged: as :func:`decode`, or the file has columns that this version does not know.
        InputError: the file was written by a newer version of sweep.
    """
    rows = decode(folder, pa.BufferReader(data))
    if strange := strange_columns(rows):
        raise Damaged(f"it has columns of another version of sweep: {strange}")
    if OUTCOME not in schema(FOLDERS[folder]).names:
        rows = rows.drop_columns([OUTCOME])
    stored = pq.read_metadata(pa.BufferReader(data))
    is_current = (stored.created_by, stored.schema.names, stored.metadata) == _written_now(folder)
    return data if is_current else encode(folder, rows)


@functools.cache
def _written_now(folder: str) -> tuple[str, list[str], dict[bytes, bytes]]:
    """The writer, the columns and the metadata of a file that this process writes."""
    empty = encode(folder, schema(FOLDERS[folder]).empty_table())
    written = pq.read_metadata(pa.BufferReader(empty))
    return written.created_by, written.schema.names, written.metadata


def strange_columns(rows: pa.Table) -> str:
    """The columns of the rows' file that the record class lacks, joined by commas: from damage or another version."""
    return rows.schema.metadata.get(_STRANGE, b"").decode()


def columns_of(folder: str, names: list[str] | None) -> pa.Schema:
    """The schema of a folder's rows or of some columns. All folders have :data:`OUTCOME`, as folds do."""
    return _columns_of(folder, None if names is None else tuple(names))


@functools.cache
def _columns_of(folder: str, names: tuple[str, ...] | None) -> pa.Schema:
    columns = schema(FOLDERS[folder])
    if OUTCOME not in columns.names:
        columns = columns.append(pa.field(OUTCOME, pa.string()))
    return columns if names is None else pa.schema([columns.field(name) for name in names], metadata=columns.metadata)


def _encode(rows: pa.Table, layout: dict[str, Any], **write: Any) -> pa.Buffer:
    sink, rows = pa.BufferOutputStream(), _in_utc(rows)
    layout = {"compression": "zstd", "compression_level": 3, "write_page_checksum": True, **layout}
    with pq.ParquetWriter(sink, rows.schema, **layout) as writer:
        writer.write_table(rows, **write)
        writer.add_key_value_metadata(rows.schema.metadata)  # which store_schema=False leaves out
    return sink.getvalue()


def _in_utc(rows: pa.Table) -> pa.Table:
    """The rows with the time zone "+00:00" renamed to "UTC", the name that other Parquet readers expect."""
    for index, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            times = rows.column(index).cast(pa.timestamp(field.type.unit, tz="UTC"))
            rows = rows.set_column(index, field.with_type(times.type), times)
    return rows


def _layout(folder: str, columns: pa.Schema) -> dict[str, Any]:
    """Parquet settings by folder, without statistics, dictionaries or a second schema: small files are mostly overhead.

    The overhead of a mask file (one row per layer) is a tenth of its size at 99.5 %: its encodings are the shortest for
    short columns.
    """
    small = {
        "use_dictionary": False,
        "write_statistics": False,
        "store_schema": False,  # Arrow's own copy of the schema, which Parquet's makes redundant
    }
    if folder != "masks":
        return small
    whole_numbers = [column.name for column in columns if column.type == pa.int64()]
    return small | {
        "compression_level": 19,
        "column_encoding": {
            "packed": "DELTA_LENGTH_BYTE_ARRAY",
            "hash": "DELTA_LENGTH_BYTE_ARRAY",
            "shape.list.element": "BYTE_STREAM_SPLIT",
            **dict.fromkeys(whole_numbers, "BYTE_STREAM_SPLIT"),
            "position": "DELTA_BINARY_PACKED",
            "start_effective_kept": "DELTA_BINARY_PACKED",
            "macs_dense": "PLAIN",
        },
    }


def _check_version(folder: str, metadata: dict[bytes, bytes]) -> None:
    version, kind = (metadata.get(key, b"").decode(errors="replace") for key in (b"sweep.schema", b"sweep.record"))
    if not version.isdigit():
        raise Damaged("not a file of this store: it carries no sweep.schema")
    if int(version) > SCHEMA_VERSION:
        raise InputError(
            f"written by a newer version of sweep (schema {version}, this one reads up to {SCHEMA_VERSION});"
            " upgrade sweep, or name another store with --set store=DIR"
        )
    if kind and kind != FOLDERS[folder].__name__:
        raise Damaged(f"not a file of this folder: it holds {kind}")


def _rows(file: pq.ParquetFile, columns: list[str], among: set[str] | None) -> pa.Table:
    if among is None:
        return file.read(columns=columns, use_threads=file.metadata.num_row_groups > 1)
    names = sorted(among)
    groups = [number for number in range(file.num_row_groups) if _may_hold(file, number, names)]
    rows = file.read_row_groups(groups, columns=list(dict.fromkeys([*columns, "trial_id"])))
    return rows.filter(pc.is_in(rows["trial_id"], pa.array(names, pa.string())))


def _may_hold(file: pq.ParquetFile, number: int, names: list[str]) -> bool:
    """Whether a row group may have a row of one of the trials, by its smallest and largest trial id."""
    column = file.schema_arrow.names.index("trial_id")  # valid in Parquet too: no nested column comes before it
    statistics = file.metadata.row_group(number).column(column).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    index = bisect_left(names, statistics.min)
    return index < len(names) and names[index] <= statistics.max


def _column(column: pa.ChunkedArray | None, field: pa.Field, length: int) -> pa.ChunkedArray:
    """A column in the current schema's type; all null if the file lacks it, because it was added later."""
    if column is None:
        if not field.nullable:
            raise Damaged(f"not a file of this store: it has no {field.name}")
        return pa.nulls(length, field.type)
    if column.null_count and not field.nullable:
        raise Damaged(f"not a file of this store: a {field.name} is missing")
    return column if column.type.equals(field.type) else column.cast(field.type)
