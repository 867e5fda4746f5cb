"""Subjects: the architectures of a grid that are measured, and the name under which their measurements are kept."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch

import pruning
from sweep.config.compute import Compute
from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig, canonical

_VARYING = ("sparsity", "seed", "ablation")  # they hardly change what a trial takes of a GPU


@dataclass(frozen=True)
class Subject:
    """An architecture, with one trial a method of the grid.

    Attributes:
        label: the architecture's.
        trials: those that are measured.
        compute: how they run.
    """

    label: str
    trials: tuple[TrialConfig, ...]
    compute: Compute

    @property
    def key(self) -> str:
        """16 hex digits of everything but the GPU that a measurement depends on."""
        identities = [trial.identity() for trial in self.trials]
        values = {
            "trials": [{k: v for k, v in identity.items() if k not in _VARYING} for identity in identities],
            "workers": self.trials[0].data.workers,
            "compute": [self.compute.cpus_per_trial, self.compute.graphs, self.compute.mps],
            "torch": torch.__version__,
        }
        return hashlib.sha256(canonical(values).encode()).hexdigest()[:16]


def subjects(sweep: SweepConfig, labels: Sequence[str] | None = None) -> list[Subject]:
    """The subjects of a sweep, in order of its grid: of all its architectures, or of those with these labels."""
    grid = sweep.grid
    return [
        Subject(
            architecture.label,
            tuple(
                TrialConfig(
                    data=sweep.data,
                    architecture=architecture,
                    method=method,
                    sparsity=min(grid.sparsity) if pruning.find(method.name).removes else 0.0,
                    seed=grid.seed[0],
                    pruning=sweep.pruning,
                    training=sweep.training,
                )
                for method in grid.method
            ),
            sweep.compute,
        )
        for architecture in grid.architecture
        if labels is None or architecture.label in labels
    ]
