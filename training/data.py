"""Name to images: `resolve` and `check` a config, `load` it once, `split` it for each trial.

    config = resolve(DataConfig("digits", validation=0.1))
    check(config)
    splits = split(load(config), config, seed=0, device="cpu")
    for images, labels in splits.train.batches(128, generator=generator(0, "training", 1), augment=True): ...

The table of sets is in datasets.py, the settings in config.py, the readers in sources/ and what
comes out in splits.py (in memory) and streaming.py (from disk).
"""

from dataclasses import replace
from typing import cast

import numpy as np
import torch

from training import seeding, streaming
from training.config import DataConfig
from training.datasets import DATASETS, DataError, DatasetInfo, Format, info, names
from training.fingerprint import FingerprintCache, combined
from training.sources import builtin, folder, idx, parquet, torchvision_files
from training.sources.source import Images, Source
from training.splits import Dataset, Split, Splits, memory_splits
from training.streaming import StreamedDataset, streamed_splits

__all__ = [
    "DATASETS",
    "DataConfig",
    "DataError",
    "Dataset",
    "DatasetInfo",
    "Split",
    "Splits",
    "StreamedDataset",
    "check",
    "check_fingerprint",
    "fingerprint",
    "formats_present",
    "info",
    "load",
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
    """Fill in what a config leaves open, from the table alone; of Parquet also the columns, from the files if there.

    Data that is not there is an error of `check`, not of this.

    Raises:
        ValueError: "field: …" for an unknown set, a missing number of classes or image size, or a setting
            that this set does not have.
        DataError: Parquet files whose image or label column cannot be told.
    """
    known = info(config.name)
    config = replace(config, format=_format(config, known), validation=config.validation or 0)
    if config.download and not known.download_size:
        raise ValueError(f"download: {config.name} cannot be fetched for you; get it from {known.home or 'its owner'}")
    if config.format != "parquet" and (config.image_column or config.label_column):
        raise ValueError(
            f"image_column, label_column: {config.name} is read as {config.format}, and only Parquet has"
            " columns; leave them out or set data.format=parquet"
        )
    if known.streamed and config.crop_padding:
        raise ValueError(f"crop_padding: {config.name} is cropped at random places and sizes instead; leave it out")
    if config.fingerprint and not known.is_own:
        raise ValueError(f"fingerprint: {config.name} is known by its name; only your own images have one")
    for field in ("classes", "image_size", "crop_padding", "flip"):
        if getattr(config, field) is None:
            if getattr(known, field) is None:
                raise ValueError(f"{field}: the data set {config.name!r} is your own; set data.{field}")
            config = replace(config, **{field: getattr(known, field)})
    if config.format == "parquet" and present(config):
        config = parquet.resolve_columns(config)
    return config


def present(config: DataConfig) -> bool:
    """Whether files of a resolved config's format lie at its path, by their names."""
    return SOURCES[config.format].present(config)


def formats_present(name: str, path: str) -> list[Format]:
    """In which formats a set lies at a path."""
    config = DataConfig(name, path=path)
    return [format for format in info(name).formats if present(replace(config, format=format))]


def check(config: DataConfig) -> None:
    """Make sure, cheaply, that the data of a resolved config is there.

    Raises:
        DataError: "field: …", with the command or setting that would mend it.
    """
    others = [] if present(config) else formats_present(config.name, config.path)
    if others:  # also where the right one could be fetched: that is hardly what a path to these means
        raise DataError(
            f"format: {config.name} lies in {config.path!r} as {others[0]}, not as {config.format}: these may be other"
            f" images, and other trials; set data.format={others[0]}, or point data.path elsewhere"
        )
    SOURCES[config.format].check(config)


def fingerprint(config: DataConfig, cache: FingerprintCache | None = None) -> str | None:
    """What the stored images and labels of a resolved config are; None where their content is known by the name.

    Reads every file, or only looks at each where ``cache`` knows them. Of a streamed set only names, sizes and labels
    count: it is too big to be read for this.

    Raises:
        DataError: the data is not there or cannot be read.
    """
    check(config)
    if info(config.name).streamed:
        return streaming.content(config)
    source, cache = SOURCES[config.format], cache or FingerprintCache()
    stamp = source.stamp(config)
    if stamp is None:
        return None
    found = cache.find(stamp)
    if found is None:
        found = combined(source.contents(config))
        cache.keep(stamp, found)
    return found


def summary(config: DataConfig) -> str:
    """One line on which files of a resolved config are read and which beside them are not; empty if none lie there."""
    return SOURCES[config.format].summary(config) if present(config) else ""


def load(config: DataConfig) -> Dataset | StreamedDataset:
    """Read a resolved config's data: once, for all trials that use it.

    Raises:
        DataError: it is not there, an image cannot be decoded, a label is outside [0, classes), or the images are not
            those of the config's fingerprint: where, and how to mend it.
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


def check_fingerprint(config: DataConfig, found: str | None) -> None:
    """Make sure that images of fingerprint ``found`` are those that a config asks for, if it asks for any.

    Raises:
        DataError: they are others.
    """
    if config.fingerprint and found and found != config.fingerprint:
        raise DataError(
            f"fingerprint: the images and labels in {config.path!r} have {found}, not {config.fingerprint};"
            " point data.path at the right ones, or leave data.fingerprint out for new trials on these"
        )


def split(dataset: Dataset | StreamedDataset, config: DataConfig, seed: int, device: torch.device | str) -> Splits:
    """Hold `config.validation` training images out by seed; the test images are the same for every seed.

    Raises:
        ValueError: no training image would be left.
    """
    train, validation = _rows(dataset, config, seed)
    if isinstance(dataset, StreamedDataset):
        return streamed_splits(dataset, config, train, validation, torch.device(device))
    return memory_splits(dataset, config, train, validation, torch.device(device))


def training_class_sizes(dataset: Dataset | StreamedDataset, config: DataConfig, seed: int) -> torch.Tensor:
    """How many images of each class `split` leaves to train on, int64 [classes].

    Raises:
        ValueError: no training image would be left.
    """
    train, _ = _rows(dataset, config, seed)
    return torch.from_numpy(np.bincount(dataset.train_labels[train.numpy()], minlength=dataset.classes))


def _rows(dataset: Dataset | StreamedDataset, config: DataConfig, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows, int64 and sorted, of the training images to train on and of those held out."""
    count = len(dataset.train_labels)
    held_out = config.validation if config.validation >= 1 else round(config.validation * count)
    if held_out >= count:
        raise ValueError(f"validation: {held_out} of {count} training images leaves none to train on; set it lower")
    order = torch.randperm(count, generator=seeding.generator(seed, "validation split"))
    cut = count - int(held_out)
    return order[:cut].sort().values, order[cut:].sort().values


def _format(config: DataConfig, known: DatasetInfo) -> Format:
    if config.format == "auto":
        return known.formats[0]
    if config.format not in known.formats:
        raise ValueError(f"format: {config.name} comes as {' or '.join(known.formats)}, not as {config.format}")
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
            f" set data.classes, name another data.label_column, or mend the file ({len(wrong)} such labels)"
        )
