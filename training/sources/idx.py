"""MNIST and Fashion-MNIST in their authors' IDX files, in torchvision's folders: PATH/MNIST/raw/*-ubyte.

Torchvision fetches and unpacks them, and verifies the checksums of the archives. There are no published checksums of
the unpacked files, so their content is fingerprinted.
"""

from pathlib import Path
from typing import Any

import numpy as np

from training.config import DataConfig
from training.datasets import DataError, info
from training.fingerprint import PartDigest, Stamp, StampDigest
from training.sources.decode import resize
from training.sources.interface import Images
from training.vision import torchvision

_SETS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}  # torchvision's names of the sets and of their folders
_PARTS = ("train", "t10k")
# raised by torchvision on files of another format
_READING_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError)


def present(config: DataConfig) -> bool:
    """Whether the folder has all four files, or their archives."""
    return _all_present(config) or _all_present(config, ".gz")


def check(config: DataConfig) -> None:
    """The files must be present, or fetching them allowed."""
    if not present(config) and not config.download:
        raise DataError(
            f"path: no {config.name} in {config.path!r}; set data.download=true to fetch it"
            f" ({info(config.name).download_size}), or put {', '.join(file.name for file in _files(config))} into"
            f" {_folder(config)}"
        )


def load(config: DataConfig) -> tuple[Images, Images]:
    """Read both parts; fetch and unpack the files first if necessary."""
    _unpack(config)
    train, test = (_load_part(config, part) for part in _PARTS)
    return train, test


def counts(config: DataConfig) -> tuple[int, int] | None:
    """None, as `training.datasets` has them."""
    return None


def stamp(config: DataConfig) -> Stamp | None:
    """Covers the four files, which are unpacked first if necessary."""
    _unpack(config)
    state = StampDigest()
    for file in _files(config):
        state.add(file)
    return state.stamp()


def contents(config: DataConfig) -> tuple[bytes, bytes]:
    """Read every file once."""
    train, test = (_digest(config, part) for part in _PARTS)
    return train, test


def summary(config: DataConfig) -> str:
    """Empty, as the file names are fixed."""
    return ""


def _folder(config: DataConfig) -> Path:
    return Path(config.path).expanduser() / _SETS[config.name] / "raw"


def _files(config: DataConfig) -> list[Path]:
    """Images and labels of the training part, then of the test part."""
    names = [f"{part}-{kind}-ubyte" for part in _PARTS for kind in ("images-idx3", "labels-idx1")]
    return [_folder(config) / name for name in names]


def _all_present(config: DataConfig, ending: str = "") -> bool:
    return all(Path(f"{file}{ending}").is_file() for file in _files(config))


def _unpack(config: DataConfig) -> None:
    """Let torchvision unpack the files from their archives, which it fetches if necessary and allowed."""
    if _all_present(config):
        return
    known: Any = getattr(torchvision().datasets, _SETS[config.name])
    intact = torchvision().datasets.utils.check_integrity
    damaged = [name for name, checksum in known.resources if not intact(str(_folder(config) / name), checksum)]
    try:
        if damaged and not config.download:
            raise OSError(f"checksum of {damaged[0]}")
        known(str(Path(config.path).expanduser()), download=True)  # fetches only archives that are missing or damaged
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
            f"path: {images_file} and {labels_file.name} are not IDX files of images and labels"
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
