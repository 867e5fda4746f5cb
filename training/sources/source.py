"""What a source is, and what it hands over."""

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
        where: names an image's place in the files, for error messages: row 17 -> "train.parquet row 17".
        jpeg: some of the stored images are JPEG-compressed.
        digest: of the stored images and labels, as `Source.contents` has it; None where the content is known.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    where: Where
    jpeg: bool = False
    digest: bytes | None = None


class Source(Protocol):
    """The interface of this folder's modules. All take a config whose `format` is theirs."""

    def present(self, config: DataConfig) -> bool:
        """Whether files of this format lie at `config.path`; looks at names only."""

    def check(self, config: DataConfig) -> None:
        """Cheaply make sure that `load` has something to load; else raise DataError."""

    def load(self, config: DataConfig) -> tuple[Images, Images]:
        """Read and decode the training and the test images."""

    def stamp(self, config: DataConfig) -> Stamp | None:
        """The state of the files that `load` reads, from a look at each; None where their content is known."""

    def contents(self, config: DataConfig) -> tuple[bytes, bytes]:
        """Digests of the stored images and labels of the training and the test part, without decoding any."""

    def summary(self, config: DataConfig) -> str:
        """One line on which files are read and which are left out; empty where there is nothing to say."""
