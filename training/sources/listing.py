"""A listing: the image files of one part of a set in class folders, and which files and folders are no data."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".ppm", ".pgm", ".pbm", ".pnm", ".bmp", ".tif", ".tiff", ".webp",
    ".gif", ".jp2", ".j2k", ".jpf", ".jpx", ".avif", ".qoi",
)  # fmt: skip
_NOT_DATA = ("__MACOSX", "Thumbs.db", "desktop.ini")  # added by operating systems


@dataclass(frozen=True)
class Listing:
    """The image files of one part and their labels; a label is the index of the class in the sorted class names.

    Attributes:
        files: paths; in a bucket they start with the bucket's name.
        labels: int64 [N].
        left_out: files with other endings or in no class folder.
        sizes: of the files in bytes, int64 [N]; None where they have not been asked for.
    """

    files: list[Path]
    labels: np.ndarray
    left_out: list[Path] = field(default_factory=list)
    sizes: np.ndarray | None = None


def is_data(name: str) -> bool:
    """Whether a file or folder of this name may belong to a data set."""
    return not name.startswith(".") and name not in _NOT_DATA


def is_image(name: str) -> bool:
    """Whether a file of this name is read as an image."""
    return name.lower().endswith(ENDINGS)
