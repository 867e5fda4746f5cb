"""Images in folders: train/CLASS/* and a test folder of the same classes, as for torchvision's ImageFolder.

Tiny-ImageNet is read as it comes out of its archive, too: val/images/* with val/val_annotations.txt.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data_config import DataConfig
from training.datasets import DataError, info
from training.sources.decode import decode, is_jpeg
from training.sources.source import Images
from training.vision import torchvision

_ANNOTATIONS = "val_annotations.txt"
_INNER = {"tiny_imagenet": "tiny-imagenet-200"}  # what an archive unpacks to


@dataclass(frozen=True)
class Listing:
    """The image files of one part and their labels: a class's place among the sorted class names."""

    files: list[Path]
    labels: np.ndarray  # int64 [N]


def present(config: DataConfig) -> bool:
    """Whether the training and the test folder are there."""
    return _test_folder(config) is not None and (_root(config) / "train").is_dir()


def check(config: DataConfig) -> None:
    """Both folders are there, with as many classes as the config says."""
    if not present(config):
        home = info(config.name).home
        raise DataError(
            f"path: no {config.name} in {config.path!r}, which should have the folders train and"
            f" {' or '.join(info(config.name).test_names)} with a folder of images for each class;"
            f" point data.path there{f', or fetch it from {home}' if home else ''}"
        )
    found = _classes(config)
    if len(found) != config.classes:
        raise DataError(
            f"classes: {_root(config) / 'train'} has {len(found)} class folders, not {config.classes};"
            f" set data.classes={len(found)} or mend the folder"
        )


def load(config: DataConfig) -> tuple[Images, Images]:
    """Decode all images of both parts."""
    train, test = listings(config)
    return _load_part(config, train), _load_part(config, test)


def listings(config: DataConfig) -> tuple[Listing, Listing]:
    """The files of the training and the test part, without opening any.

    Raises:
        DataError: a class without images, or classes that differ between the parts.
    """
    classes = _classes(config)
    test = _test_folder(config)
    assert test is not None
    train_listing = _listing(_root(config) / "train", classes)
    annotations = test / _ANNOTATIONS
    return train_listing, _annotated(annotations, classes) if annotations.exists() else _listing(test, classes)


def _root(config: DataConfig) -> Path:
    path = Path(config.path).expanduser()
    inner = path / _INNER.get(config.name, "")
    return inner if inner.is_dir() else path


def _test_folder(config: DataConfig) -> Path | None:
    folders = (_root(config) / name for name in info(config.name).test_names)
    return next((folder for folder in folders if folder.is_dir()), None)


def _classes(config: DataConfig) -> list[str]:
    return sorted(folder.name for folder in (_root(config) / "train").iterdir() if folder.is_dir())


def _listing(folder: Path, classes: list[str]) -> Listing:
    try:
        found = torchvision().datasets.ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise DataError(f"path: {folder}: {error}") from error
    if found.classes != classes:
        odd = sorted(set(found.classes) ^ set(classes))
        raise DataError(
            f"path: {folder} and the training folder differ in the classes {', '.join(odd[:5])}; give both the same"
        )
    return Listing([Path(file) for file, _ in found.samples], np.asarray(found.targets, np.int64))


def _annotated(annotations: Path, classes: list[str]) -> Listing:
    """Tiny-ImageNet's list: one line an image, tab-separated, file name and class name first."""
    number = {name: place for place, name in enumerate(classes)}
    files, labels = [], []
    try:
        lines = annotations.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"path: {annotations} cannot be read: {error}; fetch the archive again") from None
    for place, line in enumerate(lines, start=1):
        file, tab, rest = line.partition("\t")
        name = rest.partition("\t")[0]
        if not (file and tab and name):
            raise DataError(
                f"path: {annotations}:{place}: {line[:80]!r} is not a file name, a tab and a class name; it may be"
                " cut off: fetch the archive again"
            )
        if name not in number:
            raise DataError(f"path: {annotations} gives {file} the class {name}, which train does not have")
        files.append(annotations.parent / "images" / file)
        labels.append(number[name])
    return Listing(files, np.asarray(labels, np.int64))


def _load_part(config: DataConfig, listing: Listing) -> Images:
    def where(row: int) -> str:
        return str(listing.files[row])

    return Images(
        decode(listing.files, config.side, info(config.name).channels, where),
        listing.labels,
        where,
        jpeg=any(map(is_jpeg, listing.files)),
    )
