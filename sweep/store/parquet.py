"""Records to the bytes of a Parquet file and back, in today's schema."""

import functools
from bisect import bisect_left
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweep.errors import InputError
from sweep.records import OUTCOME, SCHEMA_VERSION, EpochRecord, MaskRecord, SweepRecord, TrialRecord, schema

FOLDERS: dict[str, type] = {"trials": TrialRecord, "epochs": EpochRecord, "masks": MaskRecord, "sweeps": SweepRecord}
_STRANGE = b"sweep.strange"
_ROWS_A_GROUP = 4096  # of a fold: what is read of it at least


class Damaged(ValueError):
    """A file that cannot be read as what it should be."""


def encode(folder: str, rows: pa.Table) -> pa.Buffer:
    """The file that holds these rows of one trial."""
    return _encode(rows, _layout(folder, rows.schema))


def encode_fold(rows: pa.Table) -> pa.Buffer:
    """The file that holds these rows of many trials, in order of trial: few of them can be found in it quickly."""
    size = _ROWS_A_GROUP // 16 if "packed" in rows.column_names else _ROWS_A_GROUP
    return _encode(rows.combine_chunks().sort_by("trial_id"), {}, row_group_size=size)


def decode(folder: str, source: Any, columns: list[str] | None = None, among: set[str] | None = None) -> pa.Table:
    """The rows of a file, of all trials or of those ``among``, in today's schema: columns that came later are null.

    Args:
        folder: what the rows are, a key of :data:`FOLDERS`.
        source: the file, as pyarrow has it open.
        columns: of the record, or all; :data:`OUTCOME` among them where the file has it.
        among: trial ids.

    Raises:
        Damaged: half a file, or somebody else's.
        InputError: written by a newer version of sweep.
    """
    wanted = columns_of(folder, columns)
    try:
        file = pq.ParquetFile(
            source, page_checksum_verification=True, pre_buffer=not isinstance(source, pa.BufferReader)
        )
        stored = file.schema_arrow
        _check_version(folder, stored.metadata or {})
        there = set(stored.names)
        if strange := there - set(columns_of(folder, None).names):
            wanted = wanted.with_metadata({**wanted.metadata, _STRANGE: ", ".join(sorted(strange))})
        rows = _rows(file, [name for name in wanted.names if name in there], among)
        by_name = dict(zip(rows.column_names, rows.columns, strict=True))
        found = pa.table([_column(by_name.get(f.name), f, len(rows)) for f in wanted], schema=wanted)
        found.validate(full=True)  # text that is none would be found by whoever looks at it first
        return found
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError) as error:
        if isinstance(error, InputError | FileNotFoundError):
            raise
        raise Damaged(str(error).partition("\n")[0]) from error


def strange_columns(rows: pa.Table) -> str:
    """The columns of the file that rows are from which are none of a record's: damage, or another version's."""
    return rows.schema.metadata.get(_STRANGE, b"").decode()


def columns_of(folder: str, names: list[str] | None) -> pa.Schema:
    """The schema of a folder's rows, or of some columns; folds of epochs and masks say the outcome too."""
    return _columns_of(folder, None if names is None else tuple(names))


@functools.cache
def _columns_of(folder: str, names: tuple[str, ...] | None) -> pa.Schema:
    whole = schema(FOLDERS[folder])
    if OUTCOME not in whole.names:
        whole = whole.append(pa.field(OUTCOME, pa.string()))
    return whole if names is None else pa.schema([whole.field(name) for name in names], metadata=whole.metadata)


def _encode(rows: pa.Table, layout: dict[str, Any], **write: Any) -> pa.Buffer:
    sink, rows = pa.BufferOutputStream(), _in_utc(rows)
    layout = {"compression": "zstd", "compression_level": 3, "write_page_checksum": True, **layout}
    with pq.ParquetWriter(sink, rows.schema, **layout) as writer:
        writer.write_table(rows, **write)
        writer.add_key_value_metadata(rows.schema.metadata)  # which store_schema=False leaves out
    return sink.getvalue()


def _in_utc(rows: pa.Table) -> pa.Table:
    """Times of the zone "+00:00" as times of "UTC", the name that other readers expect of a file."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            times = rows.column(place).cast(pa.timestamp(field.type.unit, tz="UTC"))
            rows = rows.set_column(place, field.with_type(times.type), times)
    return rows


def _layout(folder: str, columns: pa.Schema) -> dict[str, Any]:
    """Parquet settings by folder. Files of a few rows are mostly frame: no statistics, dictionaries or second schema.

    The frame of a mask file, which has a row a layer, is a tenth of it at 99.5 %: the encodings make short columns
    shortest.
    """
    small = {
        "use_dictionary": False,
        "write_statistics": False,
        "store_schema": False,  # a copy of the schema for Arrow alone; Parquet's own says the same
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
    """Whether a row group may have a row of one of the trials, by its least and greatest id."""
    place = file.schema_arrow.names.index("trial_id")  # the columns before it are flat: it comes first
    known = file.metadata.row_group(number).column(place).statistics
    if known is None or not known.has_min_max:
        return True
    at = bisect_left(names, known.min)
    return at < len(names) and names[at] <= known.max


def _column(column: pa.ChunkedArray | None, field: pa.Field, length: int) -> pa.ChunkedArray:
    """A column as today's schema has it: null where it came later."""
    if column is None:
        if not field.nullable:
            raise Damaged(f"not a file of this store: it has no {field.name}")
        return pa.nulls(length, field.type)
    if column.null_count and not field.nullable:
        raise Damaged(f"not a file of this store: a {field.name} is missing")
    return column if column.type.equals(field.type) else column.cast(field.type)
