"""RunSettings: how a trial is run, apart from what it is. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sweep.config.compute import Compute

if TYPE_CHECKING:
    from sweep.config.config import SweepConfig


@dataclass(frozen=True)
class RunSettings:
    """How a trial is run. Built once a launch and passed whole to every engine, worker and attempt.

    Nothing of it is part of a trial's identity. A new key of ``compute`` reaches :func:`sweep.trial.run.run_trial` as a
    new field of :class:`sweep.config.compute.Compute`, with no other change.

    Attributes:
        device: "cpu", "cuda" or "cuda:1".
        sweep: name of the sweep, for the record.
        compute: the config's section ``compute``; its ``cluster`` is the name for the record.
        gpu_share: of a GPU that the trial has, for the record; None on a CPU.
    """

    device: str = "cpu"
    sweep: str = ""
    compute: Compute = field(default_factory=Compute)
    gpu_share: float | None = None

    @classmethod
    def of(cls, sweep: SweepConfig, device: str) -> RunSettings:
        """The settings of a sweep's trials, each with a GPU for itself unless the device is a CPU.

        The cluster is named here, after the machine that launches the sweep.
        """
        compute = replace(sweep.compute, cluster=sweep.compute.cluster_name)
        return cls(device, sweep.name, compute, None if device == "cpu" else 1.0)


DEFAULTS = RunSettings()
