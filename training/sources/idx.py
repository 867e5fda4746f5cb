"""MNIST and Fashion-MNIST in the IDX files of their authors, where torchvision keeps them: PATH/MNIST/raw/*-ubyte.

Torchvision fetches and unpacks them, and compares the checksums of the archives. Those of unpacked files nobody knows,
so that what they hold is fingerprinted.
"""

from pathlib import Path
from typing import Any

import numpy as np

from training.config import DataConfig
from training.datasets import DataError, info
from training.fingerprint import PartDigest, Stamp, StampDigest
from training.sources.decode import resize
from training.sources.source import Images
from training.vision import torchvision

_SETS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}  # torchvision's names of them, and of their folders
_PARTS = ("train", "t10k")
# what torchvision raises on a file that is not what its name says
_READING_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError)


def present(config: DataConfig) -> bool:
    """Whether all four files, or the archives that they come out of, lie in the folder."""
    return _are_there(config) or _are_there(config, ".gz")


def check(config: DataConfig) -> None:
    """The files are there, or may be fetched."""
    if not present(config) and not config.download:
        raise DataError(
            f"path: no {config.name} in {config.path!r}; set data.download=true to fetch it"
            f" ({info(config.name).download_size}), or put {', '.join(file.name for file in _files(config))} into"
            f" {_folder(config)}"
        )


def load(config: DataConfig) -> tuple[Images, Images]:
    """Fetch and unpack if need be, read."""
    _unpack(config)
    train, test = (_load_part(config, part) for part in _PARTS)
    return train, test


def stamp(config: DataConfig) -> Stamp | None:
    """Of the four files, which are unpacked first."""
    _unpack(config)
    state = StampDigest()
    for file in _files(config):
        state.add(file)
    return state.stamp()


def contents(config: DataConfig) -> tuple[bytes, bytes]:
    """Every file read once."""
    train, test = (_digest(config, part) for part in _PARTS)
    return train, test


def summary(config: DataConfig) -> str:
    """Nothing to say: the names of the files are known."""
    return ""


def _folder(config: DataConfig) -> Path:
    return Path(config.path).expanduser() / _SETS[config.name] / "raw"


def _files(config: DataConfig) -> list[Path]:
    """Images and labels of the training part, then of the test part."""
    names = [f"{part}-{kind}-ubyte" for part in _PARTS for kind in ("images-idx3", "labels-idx1")]
    return [_folder(config) / name for name in names]


def _are_there(config: DataConfig, ending: str = "") -> bool:
    return all(Path(f"{file}{ending}").is_file() for file in _files(config))


def _unpack(config: DataConfig) -> None:
    """Let torchvision put the unpacked files there, from their archives or from where it fetches these."""
    if _are_there(config):
        return
    known: Any = getattr(torchvision().datasets, _SETS[config.name])
    intact = torchvision().datasets.utils.check_integrity
    damaged = [name for name, checksum in known.resources if not intact(str(_folder(config) / name), checksum)]
    try:
        if damaged and not config.download:
            raise OSError(f"checksum of {damaged[0]}")
        known(str(Path(config.path).expanduser()), download=True)  # fetches none that is intact
    except _READING_ERRORS as error:
        raise DataError(
            f"path: {config.name} in {config.path!r} cannot be used ({error}); delete what is there, then fetch"
            f" {known.mirrors[0]}{known.resources[0][0]} and the others into {_folder(config)} by hand or with"
            " data.download=true"
        ) from error


def _load_part(config: DataConfig, part: str) -> Images:
    images_file, labels_file = (file for file in _files(config) if file.name.startswith(part))
    reader = torchvision().datasets.mnist
    try:
        images = reader.read_image_file(str(images_file)).numpy()
        labels = reader.read_label_file(str(labels_file)).numpy().astype(np.int64)
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images, {len(labels)} labels")
    except _READING_ERRORS as error:
        raise DataError(
            f"path: {images_file} and {labels_file.name} are no IDX files of images and labels"
            f" ({type(error).__name__}: {error}); fetch them again"
        ) from error
    return Images(
        resize(images[..., None], config.side),
        labels,
        lambda row: f"{images_file} image {row}",
        digest=_digest(config, part),
    )


def _digest(config: DataConfig, part: str) -> bytes:
    digest = PartDigest()
    for file in _files(config):
        if file.name.startswith(part):
            digest.add(file.read_bytes(), 0)
    return digest.value()
