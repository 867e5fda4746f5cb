"""TrainConfig: everything about fitting that changes the result of a trial."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

from training.pieces import most_pieces

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
        for field, choices in (("optimizer", Optimizer), ("schedule", Schedule), ("precision", Precision)):
            if getattr(self, field) not in get_args(choices):
                raise ValueError(
                    f"{field}: must be one of {', '.join(get_args(choices))}, not {getattr(self, field)!r}"
                )
        at_least = {"epochs": 0, "batch_size": 1, "accumulate": 1, "weight_decay": 0, "warmup_epochs": 0}
        for field, least in at_least.items():
            if not least <= getattr(self, field) < float("inf"):
                raise ValueError(f"{field}: must be at least {least} and finite, not {getattr(self, field)}")
        if not (self.learning_rate > 0 and isfinite(self.learning_rate)):
            raise ValueError(f"learning_rate: must be above 0 and finite, not {self.learning_rate}")
        for field in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, field) < 1:
                raise ValueError(f"{field}: must lie in [0, 1), not {getattr(self, field)}")
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
