"""Compute: the section ``compute`` of a YAML. Imports no torch."""

import socket
from dataclasses import dataclass
from math import inf
from typing import Literal

AUTO: Literal["auto"] = "auto"


@dataclass(frozen=True)
class Compute:
    """Where trials run and what share of a machine each takes. Never part of a trial's identity.

    Attributes:
        cpus_per_trial: CPU cores of one trial; also its number of torch threads.
        gpus_per_trial: share of a GPU for one trial: 0.25 runs four trials on one card, 0 trains on the CPU. "auto"
            measures each architecture on the card when the sweep is launched, and lets as many trials share it as its
            memory and its idle time allow (``sweep.engines.sharing``). With ``--local`` and
            ``--jobs N`` this key is ignored: they run one trial and N trials at once.
        compact: remove the channels that a mask disconnects before training, where that is faster
            (``pruning.compaction``). Results agree up to rounding: sums are taken in another order.
        graphs: "auto" captures training steps, validation and the rounds of pruning as CUDA graphs where that gives the
            same results (``training.steps``, ``pruning.passes``); "off" launches every operation from Python.
        mps: let processes that share a GPU use it at the same time, by NVIDIA's Multi-Process Service, instead of in
            turns. A launch starts the service for the workers on its own machine and stops it again.
        max_failures: how often a trial is tried again after it failed or ended its process. Trials that were lost with
            their machine are always run again and are not counted.
        checkpoint_minutes: time between two checkpoints within an epoch. There is also one after every epoch.
        cluster: the cluster's name in the records; by default the name of the host that launches.
        stop_after: stop the launch after this many failures in a row, all for the same reason and with no trial
            completed in between: the other trials would fail too. 0: never stop.
        keep_weights: "final" also stores the trained weights, of masked tensors the kept ones: four bytes a kept weight
            (docs/take-it-home.md). Trials that are completed already are not run again for it.
        dollars_per_hour: what an hour of the hardware costs, for ``sweep plan`` and ``--max-cost``. Trials on GPUs: the
            price of one GPU, as lists have it for a machine with one; of a machine with four, a quarter of its price.
            Trials on CPUs: the price of a machine with as many cores as the one that plans.
    """

    cpus_per_trial: int = 1
    gpus_per_trial: float | Literal["auto"] = 0.0
    compact: bool = True
    graphs: Literal["auto", "off"] = "auto"
    mps: bool = False
    max_failures: int = 3
    checkpoint_minutes: float = 10.0
    cluster: str | None = None
    stop_after: int = 5
    keep_weights: Literal["none", "final"] = "none"
    dollars_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.cpus_per_trial < 1:
            raise ValueError(f"cpus_per_trial: must be at least 1, not {self.cpus_per_trial}")
        if self.gpus_per_trial != AUTO and not 0 <= self.gpus_per_trial <= 1:
            raise ValueError(
                f"gpus_per_trial: a trial runs on one GPU or a share of it, 0 to 1, or auto, not {self.gpus_per_trial}"
            )
        if not self.checkpoint_minutes > 0:
            raise ValueError(f"checkpoint_minutes: must be above 0, not {self.checkpoint_minutes}")
        if self.max_failures < 0:
            raise ValueError(f"max_failures: must not be negative, not {self.max_failures}")
        if self.dollars_per_hour is not None and not 0 < self.dollars_per_hour < inf:
            raise ValueError(f"dollars_per_hour: must be above 0 and finite, not {self.dollars_per_hour}")
        if self.stop_after < 0:
            raise ValueError(f"stop_after: must not be negative, not {self.stop_after}")

    @property
    def cluster_name(self) -> str:
        """The cluster's name in the records: `cluster`, or the name of this host."""
        return self.cluster or socket.gethostname()
