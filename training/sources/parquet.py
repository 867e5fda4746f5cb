"""Images in Parquet files, in the layout in which image sets are commonly published.

The path has train.parquet and test.parquet (or validation.parquet), or shards of them (see shards.py). They have an
image column (binary, or a struct with a field `bytes`; each value is one encoded image file) and a column of
whole-number labels. The path is a local folder or any URI that pyarrow.fs supports (s3://, gs://).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq

from training.config import DataConfig
from training.datasets import DataError, info
from training.fingerprint import PartDigest, Stamp, StampDigest
from training.sources import shards
from training.sources.decode import decode
from training.sources.interface import Images

_LABEL_NAMES = ("label", "labels", "fine_label")


def present(config: DataConfig) -> bool:
    """Whether the path has files of both parts, complete or not."""
    try:
        names = _listed_files(config)
    except DataError:
        return False
    try:
        return all(_parts_of(config, names))
    except DataError:  # shards are missing, or there are two sets
        return True


def resolve_columns(config: DataConfig) -> DataConfig:
    """Fill in unset columns: the only column of images, and the only one with a usual label name.

    Raises:
        DataError: there is none or more than one; the message lists the columns.
    """
    (train, *_), _ = _parts(config)
    schema = _schema(config, train)
    images = list(dict.fromkeys(field.name for field in schema if _holds_images(field.type)))
    labels = [name for name in _LABEL_NAMES if name in schema.names]
    return replace(
        config,
        image_column=config.image_column or _only(images, "image_column", train, schema),
        label_column=config.label_column or _only(labels, "label_column", train, schema),
    )


def check(config: DataConfig) -> None:
    """Check file names, and columns and rows by the metadata of the first file of each part."""
    train, test = _parts(config)
    if not (train and test):
        known = info(config.name).test_names[0]
        there = ", ".join(_names(config)) or "none"
        missing = "train" if not train else known
        raise DataError(
            f"path: no {missing}.parquet or {missing}-00000-of-….parquet in {config.path!r} (Parquet files there:"
            f" {there}); point data.path at the folder of the Parquet files"
        )
    for part, files in (("training", train), ("test", test)):
        _check_columns(config, files[0])
        if not any(_metadata(config, file).num_rows for file in files):
            raise DataError(f"path: {files[0]}: the {part} set has no rows; fetch it again")


def load(config: DataConfig) -> tuple[Images, Images]:
    """Read and decode every file of both parts, in order of file names."""
    train, test = _parts(config)
    return _load_part(config, train), _load_part(config, test)


def counts(config: DataConfig) -> tuple[int, int] | None:
    """Rows of both parts, by the metadata of every file; None where a part is missing."""
    train, test = (sum(_metadata(config, file).num_rows for file in part) for part in _parts(config))
    return (train, test) if train and test else None


def stamp(config: DataConfig) -> Stamp | None:
    """Covers the path, size and modification time of every file."""
    filesystem, _ = _filesystem(config)
    state = StampDigest(config.image_column, config.label_column)
    for part in _parts(config):
        for file in part:
            if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
                state.add(Path(file))
            else:
                entry = filesystem.get_file_info(file)
                state.add_state(f"{filesystem.type_name}://{file}", entry.size or 0, (entry.mtime_ns or 0,))
        state.add_state("end of a part", 0, (0,))
    return state.stamp()


def contents(config: DataConfig) -> tuple[bytes, bytes]:
    """Read every file once, in order of file names."""

    def digest(files: list[str]) -> bytes:
        part = PartDigest()
        for file in files:
            for image, label in zip(*_read(config, file), strict=True):
                part.add(image, label)
        return part.value()

    train, test = _parts(config)
    return digest(train), digest(test)


def summary(config: DataConfig) -> str:
    """The files of both parts, and other Parquet files in their folder."""
    parts = [[file.rpartition("/")[2] for file in files] for files in _parts(config)]
    read = " and ".join(files[0] if len(files) == 1 else f"{files[0]} to {files[-1]}" for files in parts)
    others = [name for name in _names(config) if name not in parts[0] + parts[1]]
    return f"reads {read}" + (f"; leaves out {', '.join(others)}" if others else "")


def _filesystem(config: DataConfig) -> tuple[pyarrow.fs.FileSystem, str]:
    if "://" in config.path:
        return pyarrow.fs.FileSystem.from_uri(config.path)
    return pyarrow.fs.LocalFileSystem(), str(Path(config.path).expanduser())


def _listed_files(config: DataConfig) -> dict[str, str]:
    """Paths of the Parquet files in the folder by file name, sorted."""
    try:
        filesystem, folder = _filesystem(config)
        entries = filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
    except (OSError, ValueError, ImportError) as error:  # ImportError: hf:// needs another package
        raise DataError(
            f"path: {config.path!r} cannot be listed ({error}); check data.path and your access, or download the files"
            " and set data.path to their folder"
        ) from error
    files = (file for file in entries if file.base_name.endswith(".parquet") and file.base_name[0] != ".")
    return {file.base_name: file.path for file in sorted(files, key=lambda file: file.base_name)}


def _names(config: DataConfig) -> list[str]:
    return list(_listed_files(config))


def _parts(config: DataConfig) -> tuple[list[str], list[str]]:
    """Paths of the training and of the test files; an empty list for a missing part."""
    return _parts_of(config, _listed_files(config))


def _parts_of(config: DataConfig, files: dict[str, str]) -> tuple[list[str], list[str]]:
    by_part = [
        [files[name] for name in shards.of_part(part, files)] for part in ("train", *info(config.name).test_names)
    ]
    return by_part[0], next(filter(None, by_part[1:]), [])


def _metadata(config: DataConfig, file: str) -> pq.FileMetaData:
    try:
        return pq.read_metadata(file, filesystem=_filesystem(config)[0])
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"path: {file} is not a readable Parquet file ({error}); fetch it again") from error


def _schema(config: DataConfig, file: str) -> pa.Schema:
    return _metadata(config, file).schema.to_arrow_schema()


def _only(candidates: list[str], setting: str, file: str, schema: pa.Schema) -> str:
    if len(candidates) != 1:
        choices = " or ".join(candidates) or "none looks like one"
        raise DataError(
            f"{setting}: cannot tell which column of {file} to use ({choices});"
            f" set data.{setting} to one of {_listed(schema)}"
        )
    return candidates[0]


def _check_columns(config: DataConfig, file: str) -> None:
    schema = _schema(config, file)
    for setting, holds, kind in (
        ("image_column", _holds_images, "encoded images (binary, or a struct with bytes)"),
        ("label_column", pa.types.is_integer, "whole-number labels"),
    ):
        column = getattr(config, setting)
        if column not in schema.names:
            raise DataError(
                f"{setting}: {file} has no column {column!r}; set data.{setting} to one of {_listed(schema)}"
            )
        if schema.names.count(column) > 1:
            raise DataError(
                f"{setting}: {file} has {schema.names.count(column)} columns called {column!r}; rename all but one"
            )
        if not holds(schema.field(column).type):
            raise DataError(
                f"{setting}: column {column!r} of {file} is {schema.field(column).type}, not {kind};"
                f" set data.{setting} to one of {_listed(schema)}"
            )


def _load_part(config: DataConfig, files: list[str]) -> Images:
    images: list[bytes] = []
    labels: list[np.ndarray] = []
    rows: list[int] = []
    for file in files:
        _check_columns(config, file)
        stored, numbers = _read(config, file)
        images += stored
        labels.append(numbers)
        rows.append(len(stored))
    starts = np.cumsum([0, *rows])

    def where(row: int) -> str:
        file = int(np.searchsorted(starts, row, side="right")) - 1
        return _row(files[file], row - int(starts[file]))

    return decode(images, np.concatenate(labels), config.side, info(config.name).channels, where)


def _row(file: str, row: int) -> str:
    return f"{file} row {row}"


def _read(config: DataConfig, file: str) -> tuple[list[bytes], np.ndarray]:
    """The encoded images and the labels (int64) of one file, by row.

    Raises:
        DataError: the file cannot be read, or a row has no image or no label.
    """
    try:
        table = pq.read_table(
            file,
            columns=[config.image_column, config.label_column],
            filesystem=_filesystem(config)[0],
            partitioning=None,  # otherwise a folder named label=3 would become a column
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"path: {file} cannot be read ({error}); fetch it again") from error
    images, labels = table[config.image_column], table[config.label_column]
    if pa.types.is_struct(images.type):
        images = pc.struct_field(images, "bytes")
    for column, setting, lack in ((labels, "label_column", "no label"), (images, "image_column", "no image bytes")):
        missing = pc.index(column.is_valid(), False).as_py()
        if missing >= 0:
            raise DataError(f"{setting}: {_row(file, missing)}: {lack}; leave such rows out")
    return images.to_pylist(), labels.to_numpy().astype(np.int64)


def _holds_images(column: pa.DataType) -> bool:
    if pa.types.is_struct(column):
        return column.get_field_index("bytes") >= 0 and _holds_images(column.field("bytes").type)
    return pa.types.is_binary(column) or pa.types.is_large_binary(column)


def _listed(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
