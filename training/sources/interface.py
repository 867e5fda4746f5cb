"""The interface of a source of images, and the type of its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.config import DataConfig
from training.fingerprint import Stamp

Where = Callable[[int], str]


@dataclass(frozen=True)
class Images:
    """One decoded part (training or test) of a data set.

    Attributes:
        pixels: uint8 [N, H, W, C].
        labels: int64 [N], not yet checked against the number of classes.
        where: says where an image is stored, for error messages: row 17 -> "train.parquet row 17".
        jpeg: whether any stored image is JPEG-compressed.
        digest: of the stored images and labels, as in `Source.contents`; None if the name determines the content.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    where: Where
    jpeg: bool = False
    digest: bytes | None = None


class Source(Protocol):
    """The interface of this folder's modules. The config passed to one has its `format`."""

    def present(self, config: DataConfig) -> bool:
        """Whether `config.path` has files of this format; looks at names only."""

    def check(self, config: DataConfig) -> None:
        """Check quickly that `load` will find its files; raise DataError otherwise."""

    def load(self, config: DataConfig) -> tuple[Images, Images]:
        """Read and decode the training and the test images."""

    def counts(self, config: DataConfig) -> tuple[int, int] | None:
        """How many training and test images there are, reading none of them; None where that takes reading them."""

    def stamp(self, config: DataConfig) -> Stamp | None:
        """Names, sizes and times of the files that `load` reads; None if the name determines their content."""

    def contents(self, config: DataConfig) -> tuple[bytes, bytes]:
        """Digests of the stored images and labels of the training and the test part, without decoding."""

    def summary(self, config: DataConfig) -> str:
        """One line: which files are read and which are ignored; empty if the file names are fixed."""
