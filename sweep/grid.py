"""The grid: SweepConfig -> trials, and the name that a trial's content gives it."""

import hashlib

import pruning
from sweep.config import SweepConfig, TrialConfig, canonical
from sweep.text import percent


def trial_id(trial: TrialConfig) -> str:
    """16 hex digits of the sha256 of the trial's identity: the same trial has the same id everywhere.

    Paths, GPUs and clusters are no part of it, so merging two stores is copying files.
    """
    return hashlib.sha256(canonical(trial.identity()).encode()).hexdigest()[:16]


def expand(sweep: SweepConfig) -> list[TrialConfig]:
    """Every trial of the sweep, seeds varying slowest so that a stopped sweep holds whole comparisons.

    A method that removes nothing (dense) runs once per architecture and seed, at sparsity 0.
    """
    trials: dict[TrialConfig, None] = {}
    for seed in sweep.grid.seed:
        for architecture in sweep.grid.architecture:
            for method in sweep.grid.method:
                for sparsity in sweep.grid.sparsity if pruning.find(method.name).removes else (0.0,):
                    trial = TrialConfig(
                        data=sweep.data,
                        architecture=architecture,
                        method=method,
                        sparsity=sparsity,
                        seed=seed,
                        pruning=sweep.pruning,
                        training=sweep.training,
                    )
                    trials[trial] = None
    return list(trials)


def title(trial: TrialConfig) -> str:
    """What a person calls the trial: ``resnet50 force 99.5% s0``."""
    return f"{trial.architecture.label} {trial.method.label} {percent(trial.sparsity)} s{trial.seed}"
