"""Images in folders: train/CLASS/* and a test folder with the same classes, as for torchvision's ImageFolder.

The layout of Tiny-ImageNet's archive, val/images/* with val/val_annotations.txt, is read too. Hidden files and folders,
and those that operating systems add (`__MACOSX`), are ignored.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.config import DataConfig
from training.datasets import DataError, info
from training.fingerprint import PartDigest, Stamp, StampDigest
from training.sources import bucket_folder
from training.sources.decode import decode
from training.sources.interface import Images
from training.sources.listing import ENDINGS, Listing, is_data, is_image

_ANNOTATIONS = "val_annotations.txt"
_INNER = {"tiny_imagenet": "tiny-imagenet-200"}  # the folder that an archive unpacks to


def present(config: DataConfig) -> bool:
    """Whether the training and the test folder exist."""
    if is_bucket(config.path):
        try:
            return {"train", _test_name(config)} <= {*bucket_folder.contents(config.path).classes}
        except DataError:
            return False
    return _test_folder(config) is not None and (_root(config) / "train").is_dir()


def check(config: DataConfig) -> None:
    """Both folders must exist, the training folder with the config's number of classes."""
    if is_bucket(config.path):
        bucket_folder.contents(config.path)  # which says why it cannot be listed
    if not present(config):
        home = info(config.name).home
        raise DataError(
            f"path: no {config.name} in {config.path!r}, which should have the folders train and"
            f" {' or '.join(info(config.name).test_names)} with a folder of images for each class;"
            f" point data.path there{f', or fetch it from {home}' if home else ''}"
        )
    if is_bucket(config.path):
        folder, count = f"{config.path}/train", len(bucket_folder.contents(config.path).classes["train"])
    else:
        folder, count = str(_root(config) / "train"), len(_classes(_root(config) / "train"))
    if count != config.classes:
        raise DataError(
            f"classes: {folder} has {count} class folders, not {config.classes};"
            f" set data.classes={count} or fix the folder"
        )


def load(config: DataConfig) -> tuple[Images, Images]:
    """Decode all images of both parts."""
    train, test = listings(config)
    return _load_part(config, train), _load_part(config, test)


def counts(config: DataConfig) -> tuple[int, int] | None:
    """The number of image files of both parts."""
    train, test = listings(config)
    return len(train.files), len(test.files)


def stamp(config: DataConfig) -> Stamp | None:
    """Covers the path, label, size and times of every image file."""
    state = StampDigest()
    for listing in listings(config):
        for file, label in zip(listing.files, listing.labels, strict=True):
            try:
                state.add(file, int(label))
            except OSError as error:
                raise DataError(f"path: {file}: {error.strerror}; replace it or leave it out") from error
        state.add_state("end of a part", 0, (0,))
    return state.stamp()


def contents(config: DataConfig) -> tuple[bytes, bytes]:
    """Read every file once."""

    def digest(listing: Listing) -> bytes:
        part = PartDigest()
        for file, label in zip(listing.files, listing.labels, strict=True):
            try:
                part.add(file.read_bytes(), label)
            except OSError as error:
                raise DataError(f"path: {file}: {error.strerror}; replace it or leave it out") from error
        return part.value()

    train, test = listings(config)
    return digest(train), digest(test)


def summary(config: DataConfig) -> str:
    """The number of images read from each folder, and the other files and folders there."""
    parts, names = listings(config), ("train", _test_name(config))
    read = " and ".join(f"{len(part.files):,} images of {name}" for part, name in zip(parts, names, strict=True))
    left_out = [f"the folder {name}" for name in _folders(config) if name not in names]
    files = [file for listing in parts for file in listing.left_out]
    counts = Counter(file.suffix.lower() or "without an ending" for file in files)
    left_out += [f"{number} {ending} ({_example(files, ending)})" for ending, number in counts.most_common(5)]
    return f"reads {read}" + (f"; leaves out {', '.join(left_out)}" if left_out else "")


def listings(config: DataConfig) -> tuple[Listing, Listing]:
    """The files of the training and the test part; opens none of them.

    Raises:
        DataError: a class has no images, or the parts have different classes.
    """
    if is_bucket(config.path):
        classes_of = bucket_folder.contents(config.path).classes
        _check_same_classes(f"{config.path}/{_test_name(config)}", classes_of[_test_name(config)], classes_of["train"])
        return bucket_folder.listing(config.path, "train"), bucket_folder.listing(config.path, _test_name(config))
    train, test = _root(config) / "train", _test_folder(config)
    assert test is not None
    classes = _classes(train)
    annotations = test / _ANNOTATIONS
    if annotations.exists():
        return _listing(train, classes), _annotated(annotations, classes)
    _check_same_classes(str(test), _classes(test), classes)
    return _listing(train, classes), _listing(test, classes)


def is_bucket(path: str) -> bool:
    """Whether a path is an address of a bucket."""
    return "://" in path


def _check_same_classes(test: str, of_test: list[str], of_training: list[str]) -> None:
    if odd := sorted(set(of_test) ^ set(of_training)):
        raise DataError(
            f"path: {test} and the training folder differ in the classes {', '.join(odd[:5])}; give both the same"
        )


def _root(config: DataConfig) -> Path:
    path = Path(config.path).expanduser()
    inner = path / _INNER.get(config.name, "")
    return inner if inner.is_dir() else path


def _test_folder(config: DataConfig) -> Path | None:
    folders = (_root(config) / name for name in info(config.name).test_names)
    return next((folder for folder in folders if folder.is_dir()), None)


def _test_name(config: DataConfig) -> str:
    """Name of the test folder; empty if there is none."""
    folders = _folders(config)
    return next((name for name in info(config.name).test_names if name in folders), "")


def _folders(config: DataConfig) -> list[str]:
    """Names of the folders at the path, sorted."""
    if is_bucket(config.path):
        return list(bucket_folder.contents(config.path).parts)
    return [path.name for path in _visible(_root(config)) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if is_data(path.name))


def _classes(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and is_data(entry.name))


def _walk(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder below ``folder`` with the names of its files, in arbitrary order."""
    for inner, folders, files in os.walk(folder, followlinks=True):
        folders[:] = filter(is_data, folders)
        yield inner, sorted(filter(is_data, files))


def _listing(folder: Path, classes: list[str]) -> Listing:
    files: list[Path] = []
    labels: list[int] = []
    left_out = [path for path in _visible(folder) if path.is_file()]  # in no class folder
    for label, name in enumerate(classes):
        before = len(files)
        for inner, file_names in sorted(_walk(folder / name)):
            for file in file_names:
                (files if is_image(file) else left_out).append(Path(inner, file))
        labels += [label] * (len(files) - before)
        if len(files) == before:
            other = f" ({len(left_out)} files of other kinds, such as {left_out[-1].name})" if left_out else ""
            raise DataError(
                f"path: {folder / name} has no images{other}; put some there ({' '.join(ENDINGS)}), or"
                " remove the class from both parts"
            )
    return Listing(files, np.asarray(labels, np.int64), left_out)


def _annotated(annotations: Path, classes: list[str]) -> Listing:
    """Read Tiny-ImageNet's list: one line per image, tab-separated, starting with file name and class name."""
    number = {name: index for index, name in enumerate(classes)}
    files, labels = [], []
    try:
        lines = annotations.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"path: {annotations} cannot be read: {error}; fetch the archive again") from None
    for line_number, line in enumerate(lines, start=1):
        file, tab, rest = line.partition("\t")
        name = rest.partition("\t")[0]
        if not (file and tab and name):
            raise DataError(
                f"path: {annotations}:{line_number}: {line[:80]!r} is not a file name, a tab and a class name; it may"
                " be cut off: fetch the archive again"
            )
        if name not in number:
            raise DataError(f"path: {annotations} gives {file} the class {name}, which train does not have")
        files.append(annotations.parent / "images" / file)
        labels.append(number[name])
    return Listing(files, np.asarray(labels, np.int64))


def _example(files: list[Path], ending: str) -> str:
    file = next(file for file in files if (file.suffix.lower() or "without an ending") == ending)
    return "/".join(file.parts[-3:])


def _load_part(config: DataConfig, listing: Listing) -> Images:
    def where(row: int) -> str:
        return str(listing.files[row])

    return decode(listing.files, listing.labels, config.side, info(config.name).channels, where)
