"""PruneConfig: the settings of scoring that all methods of a sweep share."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class PruneConfig:
    """How scores are computed. Every field is part of a trial's identity; later ones only where not at their defaults.

    Attributes:
        batch_size: images in one batch.
        batches: batches in one round; gradients are averaged over them before any absolute value is taken.
        sampling: "uniform", or "balanced" (the same number of every class: GraSP's 10 a class).
        fresh_batches: draw new batches every round (the FORCE authors' code), or use those of round one in all.
        augment: crop and flip the images as in training.
        loss: "cross_entropy", or "logit", −mean(z_y), of the FORCE authors' code.
        mode: "train" scores with batch statistics, "eval" with running ones.
        exclude: layers that stay dense, by name or by a pattern such as ``layer4.*``; a module's name means all layers
            in it. They have no mask, and sparsities count the other weights. Each entry must match a layer in every
            architecture of the grid.
        precision: "fp32", or "bf16" for forward and backward passes: faster, but the mask differs
            (docs/performance.md).

    Raises:
        ValueError: "field: what is wrong", for any value out of range.
    """

    batch_size: int = 128
    batches: int = 1
    sampling: Literal["uniform", "balanced"] = "uniform"
    fresh_batches: bool = True
    augment: bool = True
    loss: Literal["cross_entropy", "logit"] = "cross_entropy"
    mode: Literal["train", "eval"] = "train"
    exclude: tuple[str, ...] = field(default=(), metadata={"identity": "unless default"})
    precision: Literal["fp32", "bf16"] = field(default="fp32", metadata={"identity": "unless default"})

    def __post_init__(self) -> None:
        if "" in self.exclude:
            raise ValueError("exclude: a layer's name must not be empty")
        object.__setattr__(self, "exclude", tuple(sorted(set(self.exclude))))  # in any order, they are one trial
        for name in ("batch_size", "batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, not {getattr(self, name)}")
