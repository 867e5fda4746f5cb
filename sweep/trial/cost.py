"""Cost: forward and backward passes of a trial, and their floating-point operations."""

from dataclasses import dataclass

import pruning


@dataclass
class Cost:
    """Forward and backward passes so far, and their floating-point operations if zeros cost nothing.

    Two operations a multiply-accumulate (MAC); a backward pass costs two forward ones. Only prunable layers count.
    """

    passes: int = 0
    flops: float = 0.0

    def add_pruning(self, pruned: pruning.Pruned, macs_dense: int) -> None:
        """Add the passes of pruning, all over the dense network: gradients of removed weights are taken too.

        Args:
            macs_dense: MACs of the dense network for one image.
        """
        self.passes += pruned.passes
        self.flops += 2.0 * macs_dense * pruned.work

    def add_epoch(self, images: int, steps: int, macs: int) -> None:
        """Add one epoch of training a network with ``macs`` kept MACs an image."""
        self.passes += 2 * steps
        self.flops += 2.0 * 3 * macs * images

    def add_dense_gradients(self, images: int, macs_removed: int) -> None:
        """Add the gradients of removed weights over ``images``: no further pass, but more work in one."""
        self.flops += 2.0 * macs_removed * images

    def record_fields(self, images: int, epochs: int, macs_dense: int) -> dict[str, int | float | None]:
        """Fields of the record; the share is of training the dense network once, for ``epochs`` on ``images``."""
        dense = 2.0 * 3 * macs_dense * images * epochs
        return {
            "passes": self.passes,
            "training_flops": self.flops,
            "training_flops_share": self.flops / dense if dense else None,
        }
