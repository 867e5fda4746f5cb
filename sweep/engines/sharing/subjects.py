"""Subjects: the architectures of a grid that are measured, and the name under which their measurements are kept."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pruning.ablations import NONE
from sweep.config.axes import Choice
from sweep.config.compute import Compute
from sweep.config.config import SweepConfig
from sweep.config.grid import expand
from sweep.config.trial_config import TrialConfig
from sweep.config.trial_identity import canonical

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
    measured: dict[str, dict[Choice, TrialConfig]] = {}  # by architecture and method
    for trial in expand(sweep):
        if labels is None or trial.architecture.label in labels:
            of_network = measured.setdefault(trial.architecture.label, {})
            first = of_network.setdefault(trial.method, replace(trial, ablation=NONE))
            if trial.sparsity < first.sparsity:
                of_network[trial.method] = replace(first, sparsity=trial.sparsity)
    return [Subject(label, tuple(trials.values()), sweep.compute) for label, trials in measured.items()]
