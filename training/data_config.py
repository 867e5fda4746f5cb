"""DataConfig: which images a trial sees, and how they are split and augmented. Cheap to import: no torch."""

from dataclasses import dataclass, field
from typing import Any, get_args

from training.datasets import Format

_NOT_IDENTITY: dict[str, Any] = {"identity": False}  # where and how it is read makes no other result


@dataclass(frozen=True)
class DataConfig:
    """A data set's name and its settings; `training.data.resolve` fills in each None and "auto".

    Every field but path, download, workers and the columns is part of a trial's identity.

    Raises:
        ValueError: "field: what is wrong and how to mend it", for any value out of range.
    """

    name: str
    path: str = field(default="data", metadata=_NOT_IDENTITY)  # a folder; for Parquet also s3://, gs://
    download: bool = field(default=False, metadata=_NOT_IDENTITY)
    format: Format = "auto"
    image_column: str | None = field(default=None, metadata=_NOT_IDENTITY)  # Parquet only
    label_column: str | None = field(default=None, metadata=_NOT_IDENTITY)  # Parquet only
    classes: int | None = None
    image_size: int | None = None  # side in pixels; other images are scaled to it and cropped at the centre
    validation: int | float = 0  # images held out of the training set by seed; below 1 a fraction of it
    crop_padding: int | None = None  # zeros around an image before a random crop of its size; 0: no crop
    flip: bool | None = None  # mirror every other training image, by chance
    workers: int = field(default=4, metadata=_NOT_IDENTITY)  # processes that decode a streamed set

    def __post_init__(self) -> None:
        least = {"classes": 2, "image_size": 1, "crop_padding": 0, "workers": 0}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < lowest):
                raise ValueError(f"{name}: must be a whole number of at least {lowest}, not {value!r}")
        held_out = self.validation
        if type(held_out) not in (int, float) or not held_out >= 0 or (type(held_out) is float and held_out >= 1):
            raise ValueError(f"validation: must be a whole number of images or a fraction below 1, not {held_out!r}")
        if self.format not in get_args(Format):
            raise ValueError(f"format: must be one of {', '.join(get_args(Format))}, not {self.format!r}")

    @property
    def side(self) -> int:
        """`image_size` of a resolved config."""
        if self.image_size is None:
            raise TypeError("resolve the data config first: its image_size is open")
        return self.image_size
