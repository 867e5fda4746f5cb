"""DataConfig: which images a trial sees. TrainConfig: how its network is trained. Cheap to import: no torch."""

import os
import re
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from training.datasets import Format
from training.pieces import most_pieces

_NOT_IDENTITY: dict[str, Any] = {"identity": False}  # where and how images are read does not change results
# The same, for a field that came later: configs are written without it where it is at its default
_LATER_AND_NOT_IDENTITY: dict[str, Any] = {"identity": False, "written": "unless default"}
_LONGEST_NAME, _LONGEST_PATH = 255, 4000  # bytes, of a file's name and of its path, that systems take
FINGERPRINT = "[0-9a-f]{16}"
_RANGES = {"classes": (2, 10**6), "image_size": (1, 10**4), "crop_padding": (0, 10**4), "workers": (0, 10**3)}


@dataclass(frozen=True)
class DataConfig:
    """A data set's name and its settings; `training.data.resolve` replaces each None and "auto" by the set's own value.

    The identity of the images never depends on the files of the machine that reads the config:

    - A shipped data set (cifar10) is identified by its name and format. "auto" is the set's usual format, the first of
      `datasets.DATASETS`. Files in another format may hold other images (JPEG copies) and make other trials, so that
      format must be written (`format: parquet`); until it is, nothing runs.
    - Your own images (image_folder, parquet) are identified by `fingerprint`, a hash of the stored bytes and the label
      of every image, in reading order. Path and columns are therefore no part of the identity. The fingerprint is
      computed where the images are; elsewhere it must be written.

    All other fields except path, cache, download and workers are part of the identity.

    Attributes:
        name: the data set: one of `datasets.DATASETS`, among them image_folder and parquet for images of your own.
        path: the folder with the images; for Parquet files, and for a streamed data set with a cache, also an s3:// or
            gs:// address.
        cache: a folder on each machine's own disk, for a streamed data set. Its images are copied there once a machine,
            and then read from there. By default they are read at `path` in every epoch.
        download: whether to download a data set that is missing from `path`, where the set offers that.
        format: how the images are stored: "torchvision", "idx", "parquet", "folder", "builtin", or "auto" for the set's
            usual format.
        image_column: the column with the encoded images; Parquet only, by default the only one of such a type.
        label_column: the column with the labels; Parquet only, by default the only one of whole numbers.
        fingerprint: of your own images, the 16 hexadecimal digits that `sweep plan` shows. Images with another
            fingerprint are refused.
        classes: number of classes; by default the set's.
        image_size: side in pixels; other images are scaled to it and cropped at the centre.
        validation: images held out of the training set, drawn by seed: a number, or a fraction below 1.
        train: fraction of the training images, those held out not counted, that trials see: as many of each class, and
            at least one; drawn by seed, so all methods at one seed see the same images. 1 for all.
        crop_padding: zeros around a training image before a random crop of its size; 0 for no crop.
        flip: whether to mirror training images at random, with probability 1/2.
        workers: processes that decode the images of a streamed data set.

    Raises:
        ValueError: "field: what is wrong and how to fix it", for any value out of range.
    """

    name: str
    path: str = field(default="data", metadata=_NOT_IDENTITY)
    download: bool = field(default=False, metadata=_NOT_IDENTITY)
    format: Format = "auto"
    image_column: str | None = field(default=None, metadata=_NOT_IDENTITY)
    label_column: str | None = field(default=None, metadata=_NOT_IDENTITY)
    fingerprint: str | None = field(default=None, metadata={"identity": "unless default"})
    classes: int | None = None
    image_size: int | None = None
    validation: int | float = 0
    train: float = field(default=1.0, metadata={"identity": "unless default"})
    crop_padding: int | None = None
    flip: bool | None = None
    workers: int = field(default=4, metadata=_NOT_IDENTITY)
    cache: str | None = field(default=None, metadata=_LATER_AND_NOT_IDENTITY)

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not least <= value <= most):
                raise ValueError(f"{name}: must be a whole number from {least} to {most}, not {value!r}")
        held_out = self.validation
        if type(held_out) not in (int, float) or not held_out >= 0 or (type(held_out) is float and held_out >= 1):
            raise ValueError(f"validation: must be a whole number of images or a fraction below 1, not {held_out!r}")
        if type(self.train) not in (int, float) or not 0 < self.train <= 1:
            raise ValueError(f"train: must be a fraction above 0 and up to 1, such as 0.1, not {self.train!r}")
        if self.format not in get_args(Format):
            raise ValueError(f"format: must be one of {', '.join(get_args(Format))}, not {self.format!r}")
        if self.fingerprint is not None and not re.fullmatch(FINGERPRINT, self.fingerprint):
            raise ValueError(f"fingerprint: 16 hexadecimal digits, as sweep plan shows them, not {self.fingerprint!r}")
        for name in ("path", "cache"):
            try:
                if (path := getattr(self, name)) is not None:
                    check_path(path)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        if self.cache is not None and not Path(self.cache).expanduser().is_absolute():
            raise ValueError(
                f"cache: must be an absolute path of a folder on every machine, such as /tmp/images, not {self.cache!r}"
            )

    @property
    def side(self) -> int:
        """`image_size` of a resolved config."""
        if self.image_size is None:
            raise TypeError("resolve the data config first: its image_size is open")
        return self.image_size


def check_path(path: str) -> None:
    """Check that a path is one that the system accepts, whether or not anything exists there.

    Raises:
        ValueError: the path is empty or too long, has an environment variable, or starts in an unknown user's home.
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

    Defaults are the CIFAR recipe of de Jorge et al. (ICLR 2021) except for its length and milestones.

    Attributes:
        epochs: passes over the training images; 0 tests the network as it was pruned.
        batch_size: images an optimizer step.
        optimizer: "sgd", "adam" or "adamw".
        learning_rate: the rate that the schedule starts from, after the warm-up.
        momentum: of SGD; the other optimizers ignore it.
        nesterov: Nesterov's momentum instead of classical; SGD only.
        weight_decay: the L2 penalty of SGD and Adam, the decoupled decay of AdamW.
        schedule: "multistep" (at `milestones`), "cosine" (to zero over all epochs) or "constant".
        milestones: epochs after which "multistep" multiplies the learning rate by `decay`, in rising order.
        decay: the factor at each milestone.
        warmup_epochs: epochs, or a fraction of one, over which the learning rate rises linearly from zero.
        label_smoothing: share of each label's weight that is spread evenly over all classes.
        precision: "fp32", or "bf16" or "fp16" for forward and backward passes under autocast.
        channels_last: store activations and weights with channels innermost, which is faster for most convolutions.
        accumulate: micro-batches a step: the same batch, in as many pieces, where it does not fit in memory at once.

    Raises:
        ValueError: "field: what is wrong and how to fix it", for any value out of range.
    """

    epochs: int = 160
    batch_size: int = 128
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: Schedule = "multistep"
    milestones: tuple[int, ...] = ()
    decay: float = 0.1
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    precision: Precision = "fp32"
    channels_last: bool = True
    accumulate: int = 1

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
            raise ValueError("nesterov: needs 'optimizer: sgd' and a momentum above 0; set these, or turn nesterov off")
        if self.accumulate > (most := most_pieces(self.batch_size)):
            raise ValueError(
                f"accumulate: {self.accumulate} micro-batches are too many for a batch of {self.batch_size}: BatchNorm"
                f" needs at least two images in each; set at most {most}"
            )
