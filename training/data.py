"""From a data set's name to its images: `resolve` and `check` a config, `load` it once, `split` it for each trial.

    config = resolve(DataConfig("digits", validation=0.1))
    check(config)
    splits = split(load(config), config, seed=0, device="cpu")
    for images, labels in splits.train.batches(128, generator=generator(0, "training", 1), augment=True): ...

datasets.py has the table of data sets, config.py the settings, sources/ the readers, splits.py the splits of data sets
in memory and streaming.py those read from disk.
"""

from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from training import seeding, streaming
from training.config import DataConfig
from training.datasets import DATASETS, DataError, DatasetInfo, Format, info, names
from training.fingerprint import FingerprintCache, combined
from training.sources import builtin, folder, idx, parquet, torchvision_files
from training.sources.interface import Images, Source
from training.splits import Dataset, Split, Splits, memory_splits
from training.streaming import StreamedDataset, localised, streamed_splits

__all__ = [
    "DATASETS",
    "Counts",
    "DataConfig",
    "DataError",
    "Dataset",
    "DatasetInfo",
    "Split",
    "Splits",
    "StreamedDataset",
    "check",
    "check_fingerprint",
    "counts",
    "fingerprint",
    "formats_present",
    "info",
    "load",
    "localised",
    "names",
    "present",
    "resolve",
    "split",
    "summary",
    "training_class_sizes",
]

SOURCES: dict[Format, Source] = {
    "builtin": builtin,
    "torchvision": torchvision_files,
    "idx": idx,
    "parquet": parquet,
    "folder": folder,
}


def resolve(config: DataConfig) -> DataConfig:
    """Fill in missing settings from the table, and Parquet columns from the files if these are present.

    Missing data is not an error here, but in `check`.

    Raises:
        ValueError: "field: …" for an unknown set, a missing number of classes or image size, or a setting
            that this set does not have.
        DataError: the image or label column of Parquet files is ambiguous or missing.
    """
    known = info(config.name)
    config = replace(config, format=_format(config, known), validation=config.validation or 0)
    if config.download and not known.download_size:
        raise ValueError(
            f"download: {config.name} cannot be fetched automatically; get it from {known.home or 'its owner'}"
        )
    if config.format != "parquet" and (config.image_column or config.label_column):
        raise ValueError(
            f"image_column, label_column: {config.name} is read as {config.format}, and only Parquet has"
            " columns; leave them out or set data.format=parquet"
        )
    if known.streamed and config.crop_padding:
        raise ValueError(f"crop_padding: {config.name} uses random resized crops instead; leave it out")
    if config.cache and not known.streamed:
        raise ValueError(f"cache: {config.name} is read into memory once and needs none; leave it out")
    if known.streamed and folder.is_bucket(config.path) and not config.cache:
        raise ValueError(
            f"cache: {config.name} in a bucket is read from copies on the machines' own disks; set data.cache to a"
            " folder there"
        )
    if config.fingerprint and not known.is_own:
        raise ValueError(f"fingerprint: {config.name} is known by its name; only your own images have a fingerprint")
    for field in ("classes", "image_size", "crop_padding", "flip"):
        if getattr(config, field) is None:
            if getattr(known, field) is None:
                raise ValueError(f"{field}: the data set {config.name!r} is your own; set data.{field}")
            config = replace(config, **{field: getattr(known, field)})
    if config.format == "parquet" and present(config):
        config = parquet.resolve_columns(config)
    return config


def present(config: DataConfig) -> bool:
    """Whether the path of a resolved config has files of its format; looks at names only."""
    return SOURCES[config.format].present(config)


def formats_present(name: str, path: str) -> list[Format]:
    """The formats of which a path has files."""
    config = DataConfig(name, path=path)
    return [format for format in info(name).formats if present(replace(config, format=format))]


def check(config: DataConfig) -> None:
    """Check quickly that the data of a resolved config is present.

    Raises:
        DataError: "field: …", with the command or setting that fixes it.
    """
    others = [] if present(config) else formats_present(config.name, config.path)
    if others:  # an error even if the right format could be downloaded, as the path probably means these files
        raise DataError(
            f"format: {config.path!r} has {config.name} as {others[0]}, not as {config.format}; these may be other"
            f" images, and so other trials; set data.format={others[0]}, or change data.path"
        )
    SOURCES[config.format].check(config)


def fingerprint(config: DataConfig, cache: FingerprintCache | None = None) -> str | None:
    """Fingerprint of the stored images and labels of a resolved config; None for sets that their name identifies.

    Reads every file, unless ``cache`` has the fingerprint for their names, sizes and times. For a streamed set, which
    is too large to read, it covers names, sizes and labels only.

    Raises:
        DataError: the data is missing or cannot be read.
    """
    check(config)
    if info(config.name).streamed:
        return streaming.content(config)
    source, cache = SOURCES[config.format], cache or FingerprintCache()
    stamp = source.stamp(config)
    if stamp is None:
        return None
    fingerprint = cache.find(stamp)
    if fingerprint is None:
        fingerprint = combined(source.contents(config))
        cache.keep(stamp, fingerprint)
    return fingerprint


def summary(config: DataConfig) -> str:
    """One line: which files at the path are read and which are not; empty if there are none."""
    return SOURCES[config.format].summary(config) if present(config) else ""


class Counts(NamedTuple):
    """Images of the splits of a data set: those that training sees, the held-out ones and the test set."""

    training: int
    validation: int
    test: int


def counts(config: DataConfig) -> Counts | None:
    """How many images each split of a resolved config has, reading none; None where only reading them would tell.

    Of a fraction of the training images (`config.train`), up to one image a class more or fewer.

    Raises:
        ValueError: "validation: …", no training image would remain.
        DataError: the files cannot be listed.
    """
    known = info(config.name)
    found = SOURCES[config.format].counts(config) if present(config) and not known.streamed else None
    images = found or known.images
    if images is None:
        return None
    held_out = _held_out(config, images[0])
    return Counts(max(1, round(config.train * (images[0] - held_out))), held_out, images[1])


def load(config: DataConfig) -> Dataset | StreamedDataset:
    """Read a resolved config's data, to be shared by all trials that use it.

    Raises:
        DataError: the data is missing, an image cannot be decoded, a label is outside [0, classes), or the images do
            not have the config's fingerprint; the message says where and how to fix it.
    """
    check(config)
    if info(config.name).streamed:
        streamed = streaming.load(config)
        _check_sizes(config, len(streamed.train_labels), len(streamed.test_labels))
        return streamed
    train, test = SOURCES[config.format].load(config)
    _check_sizes(config, len(train.labels), len(test.labels))
    for part in (train, test):
        _check_labels(part, cast(int, config.classes))
    dataset = Dataset.of(config, train, test)
    check_fingerprint(config, dataset.content)
    return dataset


def check_fingerprint(config: DataConfig, actual: str | None) -> None:
    """Compare the actual fingerprint with the config's, if both are given.

    Raises:
        DataError: they differ.
    """
    if config.fingerprint and actual and actual != config.fingerprint:
        raise DataError(
            f"fingerprint: the images and labels in {config.path!r} have {actual}, not {config.fingerprint};"
            " change data.path to the right ones, or remove data.fingerprint for new trials on these"
        )


def split(dataset: Dataset | StreamedDataset, config: DataConfig, seed: int, device: torch.device | str) -> Splits:
    """Hold out `config.validation` training images, and take `config.train` of the others, by seed.

    The test images are the same for every seed, and the held-out ones the same for every `config.train`.

    Raises:
        ValueError: no training image would remain.
    """
    train, validation = _rows(dataset, config, seed)
    if isinstance(dataset, StreamedDataset):
        return streamed_splits(dataset, config, train, validation, torch.device(device))
    return memory_splits(dataset, config, train, validation, torch.device(device))


def training_class_sizes(dataset: Dataset | StreamedDataset, config: DataConfig, seed: int) -> torch.Tensor:
    """Training images of each class after `split`, int64 [classes].

    Raises:
        ValueError: no training image would remain.
    """
    train, _ = _rows(dataset, config, seed)
    return torch.from_numpy(np.bincount(dataset.train_labels[train.numpy()], minlength=dataset.classes))


def _rows(dataset: Dataset | StreamedDataset, config: DataConfig, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of the training images and of the held-out images, int64 and sorted."""
    count = len(dataset.train_labels)
    held_out = _held_out(config, count)
    order = torch.randperm(count, generator=seeding.generator(seed, "validation split"))
    cut = count - held_out
    train = order[:cut].sort().values
    if config.train < 1:
        train = _fraction(train, dataset.train_labels, config.train, seed)
    return train, order[cut:].sort().values


def _held_out(config: DataConfig, count: int) -> int:
    """How many of so many training images are held out."""
    held_out = int(config.validation if config.validation >= 1 else round(config.validation * count))
    if held_out >= count:
        raise ValueError(f"validation: {held_out} of {count} training images leaves none to train on; set it lower")
    return held_out


def _fraction(rows: torch.Tensor, labels: npt.NDArray[np.int64], fraction: float, seed: int) -> torch.Tensor:
    """`round(fraction * n)` of each class's n rows, at least one: int64, sorted.

    A smaller fraction at the same seed is a part of a larger one.
    """
    generator = seeding.generator(seed, "fraction of the training images")
    shuffled = rows[torch.randperm(len(rows), generator=generator)].numpy()
    classes = labels[shuffled]
    chosen = [
        of_class[: max(1, round(fraction * len(of_class)))]
        for of_class in (shuffled[classes == label] for label in np.unique(classes))
    ]
    return torch.from_numpy(np.sort(np.concatenate(chosen)))


def _format(config: DataConfig, known: DatasetInfo) -> Format:
    if config.format == "auto":
        return known.formats[0]
    if config.format not in known.formats:
        raise ValueError(f"format: {config.name} is available as {' or '.join(known.formats)}, not as {config.format}")
    return config.format


def _check_sizes(config: DataConfig, train: int, test: int) -> None:
    for part, images in (("training", train), ("test", test)):
        if not images:
            raise DataError(f"path: the {part} set in {config.path!r} has no images; fetch it again")


def _check_labels(part: Images, classes: int) -> None:
    wrong = np.flatnonzero((part.labels < 0) | (part.labels >= classes))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"classes: {part.where(row)}: label {part.labels[row]} is outside [0, {classes});"
            f" set data.classes, name another data.label_column, or fix the file ({len(wrong)} such labels)"
        )
