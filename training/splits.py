"""A data set in memory, and what a trial draws its batches from: training, validation and test images.

`Split` fixes what every kind of split can do; how its images are read is up to the subclass.
"""

import functools
import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training import augment
from training.config import DataConfig
from training.datasets import info
from training.fingerprint import combined
from training.plan import Plan
from training.sources.interface import Images

Batch = tuple[Tensor, Tensor]  # normalised float32 [B, C, H, W] and int64 [B]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A decoded data set, plain numpy so that processes can share it; equal if its fingerprint is.

    Attributes:
        train_images, test_images: uint8 [N, C, H, W]; may be read-only.
        train_labels, test_labels: int64 [N], all in [0, classes).
        mean, std: by channel, of pixels in [0, 1], to normalise with.
        encoding: "JPEG" for a JPEG-compressed copy of a set, recognised by its first bytes; "exact" otherwise.
        fingerprint: SHA-256 of the four arrays, in hex.
        content: the fingerprint of the stored images and labels (`training.fingerprint`); None where they are known.
    """

    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.uint8]
    test_labels: npt.NDArray[np.int64]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    encoding: str
    fingerprint: str
    content: str | None = None

    @classmethod
    def of(cls, config: DataConfig, train: Images, test: Images) -> Self:
        """Put together what a source has loaded for a resolved config."""
        known = info(config.name)
        train_images, test_images = (np.ascontiguousarray(part.pixels.transpose(0, 3, 1, 2)) for part in (train, test))
        digest = hashlib.sha256()
        for array in (train_images, train.labels, test_images, test.labels):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        copied = (train.jpeg or test.jpeg) and not known.published_as_jpeg
        return cls(
            train_images=train_images,
            train_labels=train.labels,
            test_images=test_images,
            test_labels=test.labels,
            classes=cast(int, config.classes),
            mean=known.mean,
            std=known.std,
            encoding="JPEG" if copied else "exact",
            fingerprint=digest.hexdigest(),
            content=combined([train.digest, test.digest]) if train.digest and test.digest else None,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dataset) and other.fingerprint == self.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


class Split(ABC):
    """Some images of a data set, read in batches on one device.

    Attributes:
        labels: int64 [N], on the CPU.
    """

    def __init__(self, labels: Tensor) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def order(self, generator: torch.Generator) -> Tensor:
        """The permutation, int64 [N], in which `batches` would read with this generator; draws from it."""
        return torch.randperm(len(self), generator=generator)

    def batches(
        self, batch_size: int, *, generator: torch.Generator | None = None, augment: bool = False, first: int = 0
    ) -> Iterator[Batch]:
        """Read every image once, the last batch may be smaller: (float32 [B, C, H, W] normalised, int64 [B]).

        With a CPU generator shuffled by it, and augmented from it if asked for; without one in order. The batches
        before `first` are left out, neither decoded nor augmented; those after it are as they would have been.
        """
        order = torch.arange(len(self)) if generator is None else self.order(generator)
        return self._read(order, batch_size, self._augmenting(generator, augment), first)

    def sample(
        self,
        count: int,
        generator: torch.Generator,
        *,
        batch_size: int | None = None,
        balanced: bool = False,
        augment: bool = True,
    ) -> list[Batch]:
        """`count` images drawn without replacement, in batches (default: one); balanced: equally many a class.

        Raises:
            ValueError: there are not so many images (of a class), or classes do not divide `count`.
        """
        order = self.order(generator)
        if balanced:
            order = order[self._equally_many(order, count)]
        if count > len(order):
            raise ValueError(f"cannot draw {count} images without replacement from {len(order)}; ask for fewer")
        return list(self._read(order[:count], batch_size or count, self._augmenting(generator, augment)))

    @abstractmethod
    def _read(
        self, rows: Tensor, batch_size: int, generator: torch.Generator | None, first: int = 0
    ) -> Iterator[Batch]:
        """Read these rows of the split in this order from batch `first` on, augmented if there is a generator.

        What is drawn for an image depends on all `rows`, not on `first`.
        """

    @staticmethod
    def _augmenting(generator: torch.Generator | None, augment: bool) -> torch.Generator | None:
        if augment and generator is None:
            raise ValueError("augmented batches need a generator to draw crops and flips from")
        return generator if augment else None

    def _equally_many(self, order: Tensor, count: int) -> Tensor:
        """Which places of `order` hold the first so-and-so many images of each class: bool [N]."""
        sizes = self.labels.bincount()
        sizes = sizes[sizes > 0]
        each, rest = divmod(count, len(sizes))
        if rest or each > sizes.min():
            raise ValueError(
                f"cannot draw {count} images balanced over {len(sizes)} classes of {sizes.min()} and more;"
                f" ask for a multiple of {len(sizes)} up to {len(sizes) * int(sizes.min())}"
            )
        by_class = self.labels[order].argsort(stable=True)
        starts = sizes.cumsum(0) - sizes
        rank_in_class = torch.arange(len(order)) - starts.repeat_interleave(sizes)
        chosen = torch.zeros(len(order), dtype=torch.bool)
        chosen[by_class[rank_in_class < each]] = True
        return chosen


@dataclass(frozen=True)
class Splits:
    """What a trial trains on, what its choices may look at, and what it is judged by."""

    train: Split
    validation: Split | None
    test: Split


class MemorySplit(Split):
    """Rows of uint8 images that lie on the device, augmented and normalised there."""

    def __init__(self, images: Tensor, labels: Tensor, rows: Tensor, dataset: Dataset, config: DataConfig) -> None:
        """Take `rows` (int64, CPU) of images [N, C, H, W] and labels [N] that lie on one device."""
        self._images, self._labels = images, labels
        self._rows = rows.to(images.device)
        self._crop_padding, self._flip = cast(int, config.crop_padding), bool(config.flip)
        self._mean, self._std = (
            torch.tensor(values, device=images.device).view(1, -1, 1, 1) for values in (dataset.mean, dataset.std)
        )
        super().__init__(labels[self._rows].cpu())

    def plan(self, generator: torch.Generator) -> Plan:
        """What `batches` would read and how augmented, shuffled by this CPU generator: on the images' device."""
        return self._plan(self.order(generator), generator)

    def in_order(self) -> Plan:
        """Every image once, in order and not augmented."""
        return Plan(self._rows, None)

    def read(self, plan: Plan) -> Batch:
        """The images of a plan, or of a part of one, as a batch. Waits for nothing: it can be captured."""
        images = self._images[plan.rows]
        if plan.draws is not None:
            images = augment.apply(images, plan.draws, crop_padding=self._crop_padding)
        return normalise(images, self._mean, self._std), self._labels[plan.rows]

    def _plan(self, rows: Tensor, generator: torch.Generator | None) -> Plan:
        """Of these rows of the split; drawn for an image depends on all of them."""
        device = self._images.device
        draws = None
        if generator is not None:
            drawn = augment.draw(len(rows), generator, crop_padding=self._crop_padding, flip=self._flip)
            draws = drawn.to(device)
        return Plan(self._rows[augment.to_device(rows, device)], draws)

    def _read(
        self, rows: Tensor, batch_size: int, generator: torch.Generator | None, first: int = 0
    ) -> Iterator[Batch]:
        plan = self._plan(rows, generator)
        for start in range(first * batch_size, len(rows), batch_size):
            yield self.read(plan.part(start, start + batch_size))


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 [B, C, H, W] to float32: pixels in [0, 1], minus the mean, by the deviation (both [1, C, 1, 1])."""
    return images.float().div_(255).sub_(mean).div_(std)


def memory_splits(
    dataset: Dataset, config: DataConfig, train: Tensor, validation: Tensor, device: torch.device
) -> Splits:
    """The splits of a set in memory: `train` and `validation` are rows of its training images."""
    train_images, train_labels, test_images, test_labels = _on_device(dataset, device)

    def part(images: Tensor, labels: Tensor, rows: Tensor) -> MemorySplit:
        return MemorySplit(images, labels, rows, dataset, config)

    return Splits(
        part(train_images, train_labels, train),
        part(train_images, train_labels, validation) if len(validation) else None,
        part(test_images, test_labels, torch.arange(len(test_labels))),
    )


@functools.lru_cache(maxsize=2)
def _on_device(dataset: Dataset, device: torch.device) -> tuple[Tensor, ...]:
    """A data set's arrays on a device: copied once for all trials of a process; views on the CPU.

    Strides are those of the shape. numpy leaves that of an axis of length one (grey images have one channel) as it came
    about, torch reads a memory format off it, and another format is another kernel that rounds otherwise: a data set
    that came through pickling, as it does to the workers of a cluster, would give other saliencies.
    """
    with warnings.catch_warnings():
        # shared arrays are read-only, which tensors cannot be; nothing here writes to them
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        arrays = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
        return tuple(torch.from_numpy(array.reshape(-1)).view(array.shape).to(device) for array in arrays)
