"""The grid: SweepConfig -> trials, and the name that a trial's content gives it."""

from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.config.trial_identity import hashed
from sweep.text import trial_title


def trial_id(trial: TrialConfig) -> str:
    """16 hex digits of the sha256 of the trial's identity: the same trial has the same id everywhere.

    Paths, GPUs and clusters are no part of it, so that stores of several clusters can be merged.
    """
    return hashed(trial.identity_json())


def expand(sweep: SweepConfig) -> list[TrialConfig]:
    """Every trial of the sweep, in the order of :meth:`sweep.config.combinations.Grid.combinations`."""
    data, pruning, training = sweep.data, sweep.pruning, sweep.training
    return [
        TrialConfig(data, architecture, method, sparsity, seed, pruning, training, ablation)
        for architecture, method, sparsity, seed, ablation in sweep.grid.combinations()
    ]


def title(trial: TrialConfig) -> str:
    """What people call the trial: ``resnet50 force 99.5% s0``."""
    return trial_title(trial.architecture.label, trial.method_label, trial.sparsity, trial.seed)
