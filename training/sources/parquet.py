"""Images in Parquet files, in the layout in which image sets are commonly published.

At the path lie train*.parquet and test*.parquet (or validation*.parquet) with an image column, a struct that
has a field `bytes` or plain binary, each value one encoded image file, and a column of whole-number labels.
The path is a local folder or any URI that pyarrow.fs knows (s3://, gs://).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq

from training.data_config import DataConfig
from training.datasets import DataError, info
from training.sources.decode import decode, is_jpeg
from training.sources.source import Images

_LABEL_NAMES = ("label", "labels", "fine_label")


def present(config: DataConfig) -> bool:
    """Whether files of both parts lie at the path."""
    try:
        return all(_parts(config))
    except DataError:
        return False


def resolve_columns(config: DataConfig) -> DataConfig:
    """Fill in the columns a config leaves open: the one column of images, the one with a usual label name.

    Raises:
        DataError: there is none, or more than one, of a kind; names those that are there.
    """
    (train, *_), _ = _parts(config)
    schema = _schema(config, train)
    images = [field.name for field in schema if _holds_images(field.type)]
    labels = [name for name in _LABEL_NAMES if name in schema.names]
    return replace(
        config,
        image_column=config.image_column or _only(images, "image_column", train, schema),
        label_column=config.label_column or _only(labels, "label_column", train, schema),
    )


def check(config: DataConfig) -> None:
    """Look at file names, and at the columns of the first file of each part."""
    train, test = _parts(config)
    if not (train and test):
        missing = "train*.parquet" if not train else f"{info(config.name).test_names[0]}*.parquet"
        raise DataError(f"path: no {missing} in {config.path!r}; point data.path at the folder of the Parquet files")
    for file in (train[0], test[0]):
        _check_columns(config, file)


def load(config: DataConfig) -> tuple[Images, Images]:
    """Read and decode every file of both parts, in the order of their names."""
    train, test = _parts(config)
    return _load_part(config, train), _load_part(config, test)


def _filesystem(config: DataConfig) -> tuple[pyarrow.fs.FileSystem, str]:
    if "://" in config.path:
        return pyarrow.fs.FileSystem.from_uri(config.path)
    return pyarrow.fs.LocalFileSystem(), str(Path(config.path).expanduser())


def _parts(config: DataConfig) -> tuple[list[str], list[str]]:
    """The paths of the training and the test files; an empty list for a part that is not there."""
    try:
        filesystem, folder = _filesystem(config)
        found = filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
    except (OSError, ValueError) as error:
        raise DataError(f"path: {config.path!r} cannot be listed ({error}); check data.path and your access") from error
    files = sorted((file.base_name, file.path) for file in found if file.base_name.endswith(".parquet"))
    by_part = [
        [path for name, path in files if name.startswith(part)] for part in ("train", *info(config.name).test_names)
    ]
    return by_part[0], next(filter(None, by_part[1:]), [])


def _schema(config: DataConfig, file: str) -> pa.Schema:
    try:
        return pq.read_schema(file, filesystem=_filesystem(config)[0])
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"path: {file} is not a readable Parquet file ({error}); fetch it again") from error


def _only(candidates: list[str], setting: str, file: str, schema: pa.Schema) -> str:
    if len(candidates) != 1:
        found = " or ".join(candidates) or "none looks like one"
        raise DataError(
            f"{setting}: cannot tell which column of {file} to take ({found});"
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
        if not holds(schema.field(column).type):
            raise DataError(
                f"{setting}: column {column!r} of {file} is {schema.field(column).type}, not {kind};"
                f" set data.{setting} to one of {_listed(schema)}"
            )


def _load_part(config: DataConfig, files: list[str]) -> Images:
    stored: list[bytes | None] = []
    labels: list[np.ndarray] = []
    rows_of: list[tuple[str, int]] = []  # which file and row an image came from
    for file in files:
        _check_columns(config, file)
        images, numbers = _read(config, file)
        missing = pc.index(numbers.is_valid(), False).as_py()
        if missing >= 0:
            raise DataError(f"label_column: {file} row {missing}: no label; leave such rows out")
        stored += images
        labels.append(numbers.to_numpy().astype(np.int64))
        rows_of += [(file, row) for row in range(len(images))]

    def where(row: int) -> str:
        return "{} row {}".format(*rows_of[row])

    encoded = [image for image in stored if image is not None]
    if len(encoded) < len(stored):
        raise DataError(f"image_column: {where(stored.index(None))}: no image bytes; leave such rows out")
    return Images(
        decode(encoded, config.side, info(config.name).channels, where),
        np.concatenate(labels),
        where,
        jpeg=any(map(is_jpeg, encoded)),
    )


def _read(config: DataConfig, file: str) -> tuple[list[bytes | None], pa.ChunkedArray]:
    """The encoded images and the labels of one file, row by row."""
    try:
        table = pq.read_table(
            file, columns=[config.image_column, config.label_column], filesystem=_filesystem(config)[0]
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"path: {file} cannot be read ({error}); fetch it again") from error
    images = table[config.image_column]
    if pa.types.is_struct(images.type):
        images = pc.struct_field(images, "bytes")
    return images.to_pylist(), table[config.label_column]


def _holds_images(column: pa.DataType) -> bool:
    if pa.types.is_struct(column):
        return column.get_field_index("bytes") >= 0 and _holds_images(column.field("bytes").type)
    return pa.types.is_binary(column) or pa.types.is_large_binary(column)


def _listed(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
