"""Images in folders: train/CLASS/* and a test folder with the same classes, as for torchvision's ImageFolder.

The layout of Tiny-ImageNet's archive, val/images/* with val/val_annotations.txt, is read too. Hidden files and folders,
and those that operating systems add (`__MACOSX`), are ignored.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training.config import DataConfig
from training.datasets import DataError, info
from training.fingerprint import PartDigest, Stamp, StampDigest
from training.sources.decode import decode
from training.sources.interface import Images

ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".ppm", ".pgm", ".pbm", ".pnm", ".bmp", ".tif", ".tiff", ".webp",
    ".gif", ".jp2", ".j2k", ".jpf", ".jpx", ".avif", ".qoi",
)  # fmt: skip
_ANNOTATIONS = "val_annotations.txt"
_INNER = {"tiny_imagenet": "tiny-imagenet-200"}  # the folder that an archive unpacks to
_NOT_DATA = ("__MACOSX", "Thumbs.db", "desktop.ini")  # added by operating systems


@dataclass(frozen=True)
class Listing:
    """The image files of one part and their labels; a label is the index of the class in the sorted class names."""

    files: list[Path]
    labels: np.ndarray  # int64 [N]
    left_out: list[Path] = field(default_factory=list)  # files with other endings or in no class folder


def present(config: DataConfig) -> bool:
    """Whether the training and the test folder exist."""
    return _test_folder(config) is not None and (_root(config) / "train").is_dir()


def check(config: DataConfig) -> None:
    """Both folders must exist, the training folder with the config's number of classes."""
    if not present(config):
        home = info(config.name).home
        raise DataError(
            f"path: no {config.name} in {config.path!r}, which should have the folders train and"
            f" {' or '.join(info(config.name).test_names)} with a folder of images for each class;"
            f" point data.path there{f', or fetch it from {home}' if home else ''}"
        )
    count = len(_classes(_root(config) / "train"))
    if count != config.classes:
        raise DataError(
            f"classes: {_root(config) / 'train'} has {count} class folders, not {config.classes};"
            f" set data.classes={count} or fix the folder"
        )


def load(config: DataConfig) -> tuple[Images, Images]:
    """Decode all images of both parts."""
    train, test = listings(config)
    return _load_part(config, train), _load_part(config, test)


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
    root, test = _root(config), _test_folder(config)
    assert test is not None
    parts, names = listings(config), ("train", test.name)
    read = " and ".join(f"{len(part.files):,} images of {name}" for part, name in zip(parts, names, strict=True))
    others = [path.name for path in _visible(root) if path.is_dir() and path.name not in names]
    left_out = [f"the folder {name}" for name in sorted(others)]
    files = [file for listing in parts for file in listing.left_out]
    counts = Counter(file.suffix.lower() or "without an ending" for file in files)
    left_out += [f"{number} {ending} ({_example(files, ending)})" for ending, number in counts.most_common(5)]
    return f"reads {read}" + (f"; leaves out {', '.join(left_out)}" if left_out else "")


def listings(config: DataConfig) -> tuple[Listing, Listing]:
    """The files of the training and the test part; opens none of them.

    Raises:
        DataError: a class has no images, or the parts have different classes.
    """
    train, test = _root(config) / "train", _test_folder(config)
    assert test is not None
    classes = _classes(train)
    annotations = test / _ANNOTATIONS
    if annotations.exists():
        return _listing(train, classes), _annotated(annotations, classes)
    if odd := sorted(set(_classes(test)) ^ set(classes)):
        raise DataError(
            f"path: {test} and the training folder differ in the classes {', '.join(odd[:5])}; give both the same"
        )
    return _listing(train, classes), _listing(test, classes)


def _root(config: DataConfig) -> Path:
    path = Path(config.path).expanduser()
    inner = path / _INNER.get(config.name, "")
    return inner if inner.is_dir() else path


def _test_folder(config: DataConfig) -> Path | None:
    folders = (_root(config) / name for name in info(config.name).test_names)
    return next((folder for folder in folders if folder.is_dir()), None)


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name not in _NOT_DATA


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _is_data(path.name))


def _classes(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and _is_data(entry.name))


def _walk(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder below ``folder`` with the names of its files, in arbitrary order."""
    for inner, folders, files in os.walk(folder, followlinks=True):
        folders[:] = filter(_is_data, folders)
        yield inner, sorted(filter(_is_data, files))


def _listing(folder: Path, classes: list[str]) -> Listing:
    files: list[Path] = []
    labels: list[int] = []
    left_out = [path for path in _visible(folder) if path.is_file()]  # in no class folder
    for label, name in enumerate(classes):
        before = len(files)
        for inner, file_names in sorted(_walk(folder / name)):
            for file in file_names:
                (files if file.lower().endswith(ENDINGS) else left_out).append(Path(inner, file))
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
