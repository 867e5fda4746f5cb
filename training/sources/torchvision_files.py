"""CIFAR-10 and CIFAR-100 in their authors' files, with torchvision's download and checksums."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from training.config import DataConfig
from training.datasets import DataError, info
from training.sources.decode import resize
from training.sources.interface import Images
from training.sources.known_content import contents as contents
from training.sources.known_content import counts as counts
from training.sources.known_content import stamp as stamp
from training.sources.known_content import summary as summary
from training.vision import torchvision


def present(config: DataConfig) -> bool:
    """Whether the path has the archive or the folder that it unpacks to."""
    return _unpacked(config).exists() or _archive(config).exists()


def check(config: DataConfig) -> None:
    """The files must be present, or fetching them allowed."""
    if not present(config) and not config.download:
        raise DataError(
            f"path: no {config.name} in {config.path!r}; set data.download=true to fetch it"
            f" ({info(config.name).download_size}), or point data.path at the folder that has"
            f" {_unpacked(config).name} or {_archive(config).name}; Parquet files take data.format=parquet"
        )


def load(config: DataConfig) -> tuple[Images, Images]:
    """Fetch and unpack if necessary, verify the checksums, and read."""
    return _load_part(config, train=True), _load_part(config, train=False)


def _set(config: DataConfig) -> Any:
    return {"cifar10": torchvision().datasets.CIFAR10, "cifar100": torchvision().datasets.CIFAR100}[config.name]


def _unpacked(config: DataConfig) -> Path:
    return Path(config.path).expanduser() / _set(config).base_folder


def _archive(config: DataConfig) -> Path:
    return Path(config.path).expanduser() / _set(config).filename


def _is_intact(config: DataConfig) -> bool:
    return bool(torchvision().datasets.utils.check_integrity(str(_archive(config)), _set(config).tgz_md5))


def _load_part(config: DataConfig, *, train: bool) -> Images:
    # torchvision's "download" also unpacks an archive that is present, and then fetches nothing
    unpack = _archive(config).exists() and not _unpacked(config).exists()
    try:
        if unpack and not (config.download or _is_intact(config)):  # otherwise torchvision would fetch it again
            raise OSError(f"checksum of {_archive(config).name}")
        with warnings.catch_warnings():
            # some numpy releases warn about the 0 that older ones wrote into these pickles
            warnings.filterwarnings("ignore", message=r"dtype\(\): align")
            part = _set(config)(str(_archive(config).parent), train=train, download=config.download or unpack)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"path: {config.name} in {config.path!r} cannot be used ({error}); delete what is there, then"
            f" fetch {_set(config).url} into that folder by hand or with data.download=true"
        ) from error
    folder = _unpacked(config)
    return Images(
        resize(part.data, config.side),
        np.asarray(part.targets, np.int64),
        lambda row: f"{folder} {'training' if train else 'test'} image {row}",
    )
