"""DataConfig: which images a trial sees. TrainConfig: how its network is trained. Cheap to import: no torch."""

import os
import re
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from training.datasets import Format
from training.pieces import most_pieces

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


Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["multistep", "cosine", "constant"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class TrainConfig:
    """How a (masked) network is trained. Every field is part of a trial's identity.

    Defaults are the CIFAR recipe of de Jorge et al. (ICLR 2021) but for its length.

    Raises:
        ValueError: "field: what is wrong and how to mend it", for any value out of range.
    """

    epochs: int = 160
    batch_size: int = 128
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9  # sgd only
    nesterov: bool = False  # sgd only
    weight_decay: float = 5e-4
    schedule: Schedule = "multistep"
    milestones: tuple[int, ...] = ()  # epochs after which multistep multiplies the rate by `decay`
    decay: float = 0.1
    warmup_epochs: float = 0.0  # linear from zero, may be a fraction of an epoch
    label_smoothing: float = 0.0
    precision: Precision = "fp32"
    channels_last: bool = True
    accumulate: int = 1  # micro-batches a step: the same effective batch where it does not fit at once

    def __post_init__(self) -> None:
        for name, choices in (("optimizer", Optimizer), ("schedule", Schedule), ("precision", Precision)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name}: must be one of {', '.join(get_args(choices))}, not {getattr(self, name)!r}")
        at_least = {"epochs": 0, "batch_size": 1, "accumulate": 1, "weight_decay": 0, "warmup_epochs": 0}
        for name, least in at_least.items():
            if not least <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: must be at least {least} and finite, not {getattr(self, name)}")
        if not (self.learning_rate > 0 and isfinite(self.learning_rate)):
            raise ValueError(f"learning_rate: must be above 0 and finite, not {self.learning_rate}")
        for name in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: must lie in [0, 1), not {getattr(self, name)}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay: must lie in (0, 1], not {self.decay}")
        if list(self.milestones) != sorted(set(self.milestones)) or any(m < 1 for m in self.milestones):
            raise ValueError(f"milestones: must be rising epoch numbers from 1 on, not {list(self.milestones)}")
        if self.milestones and self.schedule != "multistep":
            raise ValueError(f"milestones: only 'schedule: multistep' has them, not {self.schedule!r}; remove one")
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum > 0):
            raise ValueError("nesterov: needs 'optimizer: sgd' and a momentum above 0; turn it off or set them")
        if self.accumulate > (most := most_pieces(self.batch_size)):
            raise ValueError(
                f"accumulate: {self.accumulate} micro-batches do not fit a batch of {self.batch_size}: one of a single"
                f" image is nothing for BatchNorm; at most {most}"
            )
