"""Compute: the section ``compute`` of a YAML. Imports no torch."""

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Compute:
    """Where trials run and what share of a machine each takes. Never part of a trial's identity.

    Attributes:
        cpus_per_trial: CPU cores a trial takes; also its number of torch threads.
        gpus_per_trial: the share of a GPU that a trial takes; 0.25 packs four trials on one card, 0 trains on the CPU.
        compact: train the smaller network that a mask leaves, where that pays (``pruning.compaction``): the same
            function and training, floating-point sums in another order.
        max_failures: how often a trial that fails, or takes its process down, is tried again. What is lost with its
            machine starts again whatever this says.
        checkpoint_minutes: between two checkpoints of one epoch, where it takes longer; after each epoch there is one.
        cluster: a name for the records; default the name of the host that launches them.
        stop_after: failures in a row, all for one reason and with nothing completed, after which a launch stops: what
            all trials share will not let the others complete either. 0: never.
    """

    cpus_per_trial: int = 1
    gpus_per_trial: float = 0.0
    compact: bool = True
    max_failures: int = 3
    checkpoint_minutes: float = 10.0
    cluster: str | None = None
    stop_after: int = 5

    def __post_init__(self) -> None:
        if self.cpus_per_trial < 1:
            raise ValueError(f"cpus_per_trial: must be at least 1, not {self.cpus_per_trial}")
        if not 0 <= self.gpus_per_trial <= 1:
            raise ValueError(
                f"gpus_per_trial: a trial runs on one GPU or a share of it, 0 to 1, not {self.gpus_per_trial}"
            )
        if not self.checkpoint_minutes > 0:
            raise ValueError(f"checkpoint_minutes: must be above 0, not {self.checkpoint_minutes}")
        if self.max_failures < 0:
            raise ValueError(f"max_failures: must not be negative, not {self.max_failures}")
        if self.stop_after < 0:
            raise ValueError(f"stop_after: must not be negative, not {self.stop_after}")

    @property
    def cluster_name(self) -> str:
        """What the records of a launch from this host say."""
        return self.cluster or socket.gethostname()
