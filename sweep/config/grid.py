"""The grid: SweepConfig -> trials, and the name that a trial's content gives it."""

import hashlib
from itertools import product

import pruning
from pruning.ablations import INVERT, NONE
from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig, canonical
from sweep.text import trial_title


def trial_id(trial: TrialConfig) -> str:
    """16 hex digits of the sha256 of the trial's identity: the same trial has the same id everywhere.

    Paths, GPUs and clusters are no part of it, so merging two stores is copying files.
    """
    return hashlib.sha256(canonical(trial.identity()).encode()).hexdigest()[:16]


def expand(sweep: SweepConfig) -> list[TrialConfig]:
    """Every trial of the sweep, seeds varying slowest, so that a stopped sweep has complete comparisons.

    A method that removes nothing (dense) runs once per architecture and seed, at sparsity 0. Nothing is ablated at
    sparsity 0, and nothing inverted where that means nothing (SET, RigL).
    """
    grid = sweep.grid
    trials: dict[TrialConfig, None] = {}
    for seed, architecture, method in product(grid.seed, grid.architecture, grid.method):
        preset = pruning.find(method.name)
        ablations = [name for name in grid.ablation if name != INVERT or preset.invertible]
        for sparsity in grid.sparsity if preset.removes else (0.0,):
            for ablation in ablations if sparsity else (NONE,):
                trial = TrialConfig(
                    data=sweep.data,
                    architecture=architecture,
                    method=method,
                    sparsity=sparsity,
                    seed=seed,
                    pruning=sweep.pruning,
                    training=sweep.training,
                    ablation=ablation,
                )
                trials[trial] = None
    return list(trials)


def title(trial: TrialConfig) -> str:
    """What people call the trial: ``resnet50 force 99.5% s0``."""
    return trial_title(trial.architecture.label, trial.method_label, trial.sparsity, trial.seed)
