"""DataConfig: which images a trial sees, and how they are split and augmented. Cheap to import: no torch."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from training.datasets import Format

_NOT_IDENTITY: dict[str, Any] = {"identity": False}  # where and how it is read makes no other result
_LONGEST_NAME, _LONGEST_PATH = 255, 4000  # bytes, of a file's name and of its path, that systems take
FINGERPRINT = "[0-9a-f]{16}"
_RANGES = {"classes": (2, 10**6), "image_size": (1, 10**4), "crop_padding": (0, 10**4), "workers": (0, 10**3)}


@dataclass(frozen=True)
class DataConfig:
    """A data set's name and its settings; `training.data.resolve` fills in each None and "auto".

    Which images a trial is about, its identity, never depends on what lies on the disk of the machine that asks:

    - A set with a name of its own (cifar10) is named by that name and by its format. "auto" is the set's usual format,
      the first of `datasets.DATASETS`. Where the images lie only in another format they may be other images (JPEG
      copies), and other trials: it has to be written (`format: parquet`), and nothing runs until it is.
    - Your own images (image_folder, parquet) are named by `fingerprint`: of the stored bytes of every image, and its
      label, in the order in which they are read. So path and columns are no part of the identity, but what they
      lead to is. It is filled in where the images are; where they are not, it has to be written.

    All other fields but path, download and workers are part of the identity.

    Raises:
        ValueError: "field: what is wrong and how to mend it", for any value out of range.
    """

    name: str
    path: str = field(default="data", metadata=_NOT_IDENTITY)  # a folder; for Parquet also s3://, gs://
    download: bool = field(default=False, metadata=_NOT_IDENTITY)
    format: Format = "auto"
    image_column: str | None = field(default=None, metadata=_NOT_IDENTITY)  # Parquet only
    label_column: str | None = field(default=None, metadata=_NOT_IDENTITY)  # Parquet only
    # of your own images: 16 hex digits, which `sweep plan` shows. Other images are refused then
    fingerprint: str | None = field(default=None, metadata={"identity": "unless default"})
    classes: int | None = None
    image_size: int | None = None  # side in pixels; other images are scaled to it and cropped at the centre
    validation: int | float = 0  # images held out of the training set by seed; below 1 a fraction of it
    crop_padding: int | None = None  # zeros around an image before a random crop of its size; 0: no crop
    flip: bool | None = None  # mirror every other training image, by chance
    workers: int = field(default=4, metadata=_NOT_IDENTITY)  # processes that decode a streamed set

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not least <= value <= most):
                raise ValueError(f"{name}: must be a whole number from {least} to {most}, not {value!r}")
        held_out = self.validation
        if type(held_out) not in (int, float) or not held_out >= 0 or (type(held_out) is float and held_out >= 1):
            raise ValueError(f"validation: must be a whole number of images or a fraction below 1, not {held_out!r}")
        if self.format not in get_args(Format):
            raise ValueError(f"format: must be one of {', '.join(get_args(Format))}, not {self.format!r}")
        if self.fingerprint is not None and not re.fullmatch(FINGERPRINT, self.fingerprint):
            raise ValueError(f"fingerprint: 16 hexadecimal digits, as sweep plan shows them, not {self.fingerprint!r}")
        try:
            check_path(self.path)
        except ValueError as error:
            raise ValueError(f"path: {error}") from None

    @property
    def side(self) -> int:
        """`image_size` of a resolved config."""
        if self.image_size is None:
            raise TypeError("resolve the data config first: its image_size is open")
        return self.image_size


def check_path(path: str) -> None:
    """Make sure that a system can be asked for a path, be there anything or not.

    Raises:
        ValueError: it is empty or too long, has an environment variable, or is in the home of a user that there is not.
    """
    _, uri, rest = path.partition("://")
    if not (rest.strip("/") if uri else path.strip()):
        raise ValueError(f"must name a folder or bucket, not {path!r}")
    variable = "" if uri else re.search(r"\$\{\w+\}|(?<![^/])\$[A-Za-z_]\w*", path)
    if variable:
        raise ValueError(
            f"environment variables such as {variable[0]} are not filled in here; write the path itself, or let your"
            f' shell do it: --set KEY="{variable[0]}"'
        )
    encoded = os.fsencode(path)
    if not uri and (len(encoded) > _LONGEST_PATH or max(map(len, encoded.split(b"/"))) > _LONGEST_NAME):
        raise ValueError(f"is too long for a path: {len(encoded)} bytes")
    try:
        Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"this machine has no user of the name in {path!r}") from None
