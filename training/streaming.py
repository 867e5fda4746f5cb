"""Data sets too large for memory: DataLoader workers decode the image files again in every epoch.

The interface is that of `splits.py`. Training images are augmented by random resized crops and flips, test
images scaled and cropped at the centre, as is usual for ImageNet. JPEG files are decoded at the smallest sufficient
size. Each image's augmentation has its own seed, so results do not depend on the number of workers.
"""

import hashlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as MapDataset

from training.cache import CachedFiles, Tell
from training.config import DataConfig
from training.datasets import DataError, info
from training.fingerprint import PartDigest, combined
from training.sources import folder
from training.sources.colour import to_eight_bits
from training.sources.decode import DECODING_ERRORS, reason
from training.sources.listing import Listing
from training.splits import Batch, Split, Splits, normalise
from training.vision import torchvision

_SCALED_TO = 256 / 224  # shorter side of a scaled test image, as a multiple of the crop's side


@dataclass(frozen=True, eq=False)
class StreamedDataset:
    """Like `splits.Dataset`, with file paths instead of images.

    Attributes:
        train_files, test_files: file paths as fixed-width bytes [N], which processes can share. With an ``origin`` they
            are relative to it, and :func:`localised` gives the set to read.
        fingerprint: SHA-256 of file names and labels, in hex.
        content: short fingerprint of file names, sizes and labels, as the files are too many to read them all.
        origin: where each machine copies the files from, and to; None where they are read in place.
    """

    train_files: npt.NDArray[np.bytes_]
    train_labels: npt.NDArray[np.int64]
    test_files: npt.NDArray[np.bytes_]
    test_labels: npt.NDArray[np.int64]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    encoding: str
    fingerprint: str
    content: str | None = None
    origin: "Origin | None" = None


@dataclass(frozen=True, eq=False)
class Origin:
    """Where the files of a set come from.

    Attributes:
        address: a folder, or the address of a bucket.
        cache: the folder of copies, on each machine; a folder in it is named by the set's content.
        train_sizes, test_sizes: of the files in bytes, int64 [N].
    """

    address: str
    cache: str
    train_sizes: npt.NDArray[np.int64]
    test_sizes: npt.NDArray[np.int64]


def localised(dataset: StreamedDataset, tell: Tell = lambda text: None) -> StreamedDataset:
    """The set with the files of this machine's cache, which is filled where it is not full.

    Args:
        tell: called about once a second with what is done; whatever it raises ends the copying.

    Raises:
        DataError: the cache cannot be filled.
    """
    origin = dataset.origin
    if origin is None:
        return dataset
    folder = Path(origin.cache).expanduser() / str(dataset.content)
    names = [os.fsdecode(name) for files in (dataset.train_files, dataset.test_files) for name in files]
    sizes = np.concatenate([origin.train_sizes, origin.test_sizes]).tolist()
    CachedFiles(origin.address, folder, names, sizes).fill(tell)
    train, test = (
        np.array([os.fsencode(folder) + b"/" + name for name in files])
        for files in (dataset.train_files, dataset.test_files)
    )
    return replace(dataset, train_files=train, test_files=test, origin=None)


def content(config: DataConfig) -> str:
    """The fingerprint of the file names, sizes and labels of a resolved config's folders."""
    return _content(*folder.listings(config))


def content_of_files(dataset: StreamedDataset) -> str:
    """The same of the files that a data set names, as they are on this machine.

    Raises:
        DataError: one of them is missing.
    """
    parts = ((dataset.train_files, dataset.train_labels), (dataset.test_files, dataset.test_labels))
    listings = [Listing([Path(os.fsdecode(file)) for file in files], labels) for files, labels in parts]
    return _content(*listings)


def _content(train: Listing, test: Listing) -> str:
    return combined(_part_content(part.files, part.labels, _listed_sizes(part)) for part in (train, test))


def _part_content(files: Iterable[Path], labels: npt.NDArray[np.int64], sizes: Iterable[int]) -> bytes:
    digest = PartDigest()
    for file, label, size in zip(files, labels.tolist(), sizes, strict=True):
        digest.add(os.fsencode(f"{'/'.join(file.parts[-2:])} {size}"), label)
    return digest.value()


def _listed_sizes(listing: Listing) -> npt.NDArray[np.int64]:
    return _sizes(listing.files) if listing.sizes is None else listing.sizes


def _sizes(files: Iterable[Path]) -> npt.NDArray[np.int64]:
    sizes = []
    for file in files:
        try:
            sizes.append(os.stat(file).st_size)
        except OSError as error:
            raise DataError(f"path: {file}: {error.strerror}; fetch it again") from error
    return np.asarray(sizes, np.int64)


def load(config: DataConfig) -> StreamedDataset:
    """List the files of a resolved config's folders."""
    known = info(config.name)
    train, test = folder.listings(config)
    digest = hashlib.sha256()
    for listing in (train, test):
        for file in listing.files:
            digest.update(os.fsencode("/".join(file.parts[-2:])) + b"\0")
        digest.update(listing.labels.tobytes())
    origin = _origin(config, train, test)
    root = Path(config.path).expanduser() if origin and not folder.is_bucket(config.path) else None
    return StreamedDataset(
        train_files=_encoded(train.files, root),
        train_labels=train.labels,
        test_files=_encoded(test.files, root),
        test_labels=test.labels,
        classes=cast(int, config.classes),
        mean=known.mean,
        std=known.std,
        encoding="exact",
        fingerprint=digest.hexdigest(),
        content=_content(train, test),
        origin=origin,
    )


def _origin(config: DataConfig, train: Listing, test: Listing) -> Origin | None:
    if config.cache is None:
        return None
    return Origin(config.path, config.cache, _listed_sizes(train), _listed_sizes(test))


def _encoded(files: Iterable[Path], root: Path | None) -> npt.NDArray[np.bytes_]:
    """Paths as bytes, relative to ``root`` if there is one."""
    return np.array([os.fsencode(file if root is None else file.relative_to(root)) for file in files])


def streamed_splits(
    dataset: StreamedDataset, config: DataConfig, train: Tensor, validation: Tensor, device: torch.device
) -> Splits:
    """The splits of a streamed set.

    Args:
        train, validation: rows of the training images for each split.
    """

    def part(files: npt.NDArray[np.bytes_], labels: npt.NDArray[np.int64], rows: Tensor) -> StreamedSplit:
        chosen = rows.numpy()
        return StreamedSplit(files[chosen], torch.from_numpy(labels[chosen]), dataset, config, device)

    return Splits(
        part(dataset.train_files, dataset.train_labels, train),
        part(dataset.train_files, dataset.train_labels, validation) if len(validation) else None,
        part(dataset.test_files, dataset.test_labels, torch.arange(len(dataset.test_labels))),
    )


class StreamedSplit(Split):
    """A split whose image files worker processes decode; images are normalised on the device."""

    def __init__(
        self,
        files: npt.NDArray[np.bytes_],
        labels: Tensor,
        dataset: StreamedDataset,
        config: DataConfig,
        device: torch.device,
    ) -> None:
        super().__init__(labels)
        self._images = _ImageFiles(files, labels, config.side, bool(config.flip))
        self._workers, self._device = config.workers, device
        self._mean, self._std = (
            torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (dataset.mean, dataset.std)
        )

    def _read(
        self, rows: Tensor, batch_size: int, generator: torch.Generator | None, first: int = 0
    ) -> Iterator[Batch]:
        seeds = None if generator is None else torch.randint(2**62, (len(rows),), generator=generator)
        loader = DataLoader(
            self._images,
            batch_sampler=_Requests(rows, seeds, batch_size, first),
            num_workers=self._workers,
            pin_memory=self._device.type == "cuda",
            generator=torch.Generator(),  # otherwise the loader would draw from the global generator
        )
        for images, labels in loader:
            images = images.to(self._device, non_blocking=True)
            yield normalise(images, self._mean, self._std), labels.to(self._device, non_blocking=True)


Request = tuple[int, int | None]  # a row and the seed of its augmentation, None for a test image


@dataclass(frozen=True)
class _Requests:
    """DataLoader's batch sampler: yields each batch as a list of requests."""

    rows: Tensor
    seeds: Tensor | None
    batch_size: int
    first: int

    def __len__(self) -> int:
        return max(0, math.ceil(len(self.rows) / self.batch_size) - self.first)

    def __iter__(self) -> Iterator[list[Request]]:
        for start in range(self.first * self.batch_size, len(self.rows), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            rows = self.rows[chosen].tolist()
            seeds = [None] * len(rows) if self.seeds is None else self.seeds[chosen].tolist()
            yield list(zip(rows, seeds, strict=True))


@dataclass(frozen=True)
class _ImageFiles(MapDataset[Batch]):
    """Map-style data set that decodes one image: (uint8 [3, side, side], label)."""

    files: npt.NDArray[np.bytes_]
    labels: Tensor
    side: int
    flip: bool

    def __getitem__(self, request: Request) -> Batch:
        row, seed = request
        path = os.fsdecode(self.files[row])
        try:
            with Image.open(path) as file:
                image = self._centre(file) if seed is None else self._augmented(file, seed)
        except DECODING_ERRORS as error:
            raise DataError(f"path: {path}: this image cannot be decoded ({reason(error)}); replace it") from error
        return torchvision().transforms.functional.pil_to_tensor(image), self.labels[row]

    def _centre(self, file: Image.Image) -> Image.Image:
        shorter = round(self.side * _SCALED_TO)
        scaled = torchvision().transforms.Resize(shorter)(_decoded(file, shorter / min(file.size)))
        return torchvision().transforms.CenterCrop(self.side)(scaled)

    def _augmented(self, file: Image.Image, seed: int) -> Image.Image:
        crop, functional = torchvision().transforms.RandomResizedCrop(self.side), torchvision().transforms.functional
        with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
            torch.default_generator.manual_seed(seed)
            top, left, height, width = crop.get_params(file, crop.scale, crop.ratio)
            is_flipped = bool(torch.rand(1) < (0.5 if self.flip else 0.0))
        original, image = file.size, _decoded(file, self.side / min(width, height))
        x, y = image.width / original[0], image.height / original[1]
        box = round(left * x), round(top * y), round((left + width) * x), round((top + height) * y)
        cropped = image.crop(box).resize((self.side, self.side), Image.Resampling.BILINEAR)
        return functional.hflip(cropped) if is_flipped else cropped


def _decoded(file: Image.Image, scale: float) -> Image.Image:
    """Decode an image to RGB, at ``scale`` times its size or larger; a JPEG can be decoded at ½, ¼ or ⅛."""
    file.draft(None, (math.ceil(scale * file.width), math.ceil(scale * file.height)))
    return to_eight_bits(file, channels=3)
