"""Work: the passes that a trial is expected to take."""

from typing import NamedTuple

import pruning
from sweep.config.trial_config import TrialConfig

_LEAST_IMAGES = 32  # a pass over one image takes about as long as over so many


class Kind(NamedTuple):
    """What decides how long a trial takes: everything but its seed."""

    architecture: str
    method: str
    sparsity: float

    @classmethod
    def of(cls, trial: TrialConfig) -> "Kind":
        """The kind of a trial."""
        return cls(trial.architecture.label, trial.method_label, trial.sparsity)


class Size(NamedTuple):
    """Training images of a trial, and multiply-accumulates of its dense network for one: trials that run tell them."""

    images: int
    macs: int


class Work(NamedTuple):
    """Expected multiply-accumulates of a trial: passes over the dense network, forward and backward as one."""

    pruning: float
    training: float


def epochs(trial: TrialConfig) -> int:
    """Epochs of all trainings of a trial: lottery tickets have several."""
    return pruning.find(trial.method.name).rehearse(dict(trial.method.options), trial.training.epochs)


def expected(trial: TrialConfig, size: Size | None) -> Work:
    """The work of a trial; of one whose size is not known, the epochs alone."""
    if size is None:
        return Work(0.0, float(epochs(trial)))
    method, settings = pruning.find(trial.method.name), trial.pruning
    options = method.options | dict(trial.method.options)
    scored = max(settings.batches, method.batches(options)) * settings.batch_size if method.data else 1
    scored = max(scored, _LEAST_IMAGES)
    rounds = (options["rounds"] if method.rounds else 1) if method.removes else 0
    return Work(float(rounds * scored * size.macs), float(epochs(trial) * size.images * size.macs))
