"""The table of data sets: what is known about each without its files. Fast to import, as it does not need torch."""

from dataclasses import dataclass
from typing import Any, Literal

from training.suggest import suggest

Format = Literal["auto", "torchvision", "idx", "parquet", "folder", "builtin"]


class DataError(ValueError):
    """The data is missing or invalid; the message says what, where, and how to fix it."""


@dataclass(frozen=True)
class DatasetInfo:
    """One data set. `mean` and `std` are those of pixels in [0, 1], by channel, as in the FORCE authors' code.

    For the digits and Fashion-MNIST they are computed from the images; for MNIST they are those of PyTorch's example.
    """

    description: str
    formats: tuple[Format, ...]  # "auto" is the first
    classes: int | None  # None: the config must set it
    image_size: int | None  # side in pixels; None: the config must set it
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_padding: int = 0
    flip: bool = True
    test_names: tuple[str, ...] = (
        "test",
        "val",
        "validation",
    )  # names of the test set, in order of preference
    published_as_jpeg: bool = False
    images: tuple[int, int] | None = None  # of the training and the test set; None: only the files tell
    streamed: bool = False  # too large for memory: decoded again in every epoch
    download_size: str = ""  # of the files that `download: true` fetches; empty if it cannot
    home: str = ""  # where to get it

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour. Stored images are converted to this number."""
        return len(self.mean)

    @property
    def is_own(self) -> bool:
        """Whether these are the user's own images, which the name does not identify."""
        return self.classes is None


_IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

DATASETS: dict[str, DatasetInfo] = {
    "digits": DatasetInfo(
        "1,797 hand-written digits, 8x8 grey, part of scikit-learn; 36 of each are the test set",
        formats=("builtin",),
        images=(1437, 360),
        classes=10,
        image_size=8,
        mean=(0.3053,),
        std=(0.3759,),
        flip=False,
    ),
    "mnist": DatasetInfo(
        "70,000 hand-written digits, 28x28 grey",
        formats=("idx", "parquet"),
        images=(60_000, 10_000),
        classes=10,
        image_size=28,
        mean=(0.1307,),
        std=(0.3081,),
        flip=False,
        download_size="12 MB",
    ),
    "fashion_mnist": DatasetInfo(
        "70,000 pictures of clothes in 10 classes, 28x28 grey",
        formats=("idx", "parquet"),
        images=(60_000, 10_000),
        classes=10,
        image_size=28,
        mean=(0.2860,),
        std=(0.3530,),
        flip=False,
        download_size="31 MB",
    ),
    "cifar10": DatasetInfo(
        "60,000 photos in 10 classes, 32x32",
        formats=("torchvision", "parquet"),
        images=(50_000, 10_000),
        classes=10,
        image_size=32,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
        crop_padding=4,
        download_size="170 MB",
    ),
    "cifar100": DatasetInfo(
        "60,000 photos in 100 classes, 32x32",
        formats=("torchvision", "parquet"),
        images=(50_000, 10_000),
        classes=100,
        image_size=32,
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),
        crop_padding=4,
        download_size="169 MB",
    ),
    "tiny_imagenet": DatasetInfo(
        "110,000 photos in 200 classes, 64x64, cut from ImageNet; its val folder is the test set",
        formats=("folder", "parquet"),
        images=(100_000, 10_000),
        classes=200,
        image_size=64,
        mean=(0.4802, 0.4481, 0.3975),
        std=(0.2770, 0.2691, 0.2821),
        crop_padding=4,
        test_names=("val", "validation", "valid"),  # its test folder has no labels
        published_as_jpeg=True,
        home="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    ),
    "imagenet": DatasetInfo(
        "1.3 million photos in 1,000 classes; streamed from disk",
        formats=("folder",),
        images=(1_281_167, 50_000),
        classes=1000,
        image_size=224,
        test_names=("val", "validation"),  # its test folder has no labels
        published_as_jpeg=True,
        streamed=True,
        home="https://image-net.org",
        **_IMAGENET,
    ),
    "image_folder": DatasetInfo(
        "your own images: train/CLASS/* and test/CLASS/* (or val), kept in memory at data.image_size",
        formats=("folder",),
        classes=None,
        image_size=None,
        **_IMAGENET,
    ),
    "parquet": DatasetInfo(
        "your own images: train.parquet and test.parquet (or validation), or shards; an image and a label column",
        formats=("parquet",),
        classes=None,
        image_size=None,
        **_IMAGENET,
    ),
}


def names() -> list[str]:
    """Names of all data sets."""
    return list(DATASETS)


def info(name: str) -> DatasetInfo:
    """The table's row for a data set.

    Raises:
        ValueError: for an unknown name; the message suggests a known one.
    """
    if name not in DATASETS:
        raise ValueError(f"name: unknown data set {name!r}; {suggest(name, DATASETS)}")
    return DATASETS[name]
