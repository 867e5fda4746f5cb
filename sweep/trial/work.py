"""Work: the passes that a trial is expected to take."""

from dataclasses import replace
from typing import NamedTuple

import pruning
from sweep.config.trial_config import TrialConfig

FORWARD = 1 / 3  # of a forward and a backward pass
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
    """Training images of a trial, and multiply-accumulates of its dense network for one: trials that run tell them.

    A plan also knows the images of each validation, and those of the test.
    """

    images: int
    macs: int
    validation: int = 0
    test: int = 0


class Work(NamedTuple):
    """Expected multiply-accumulates of a trial: passes over the dense network, forward and backward as one.

    Attributes:
        pruning: of all rounds.
        training: of all epochs, each with its validation.
        testing: of the test.
    """

    pruning: float
    training: float
    testing: float = 0.0


def epochs(trial: TrialConfig) -> int:
    """Epochs of all trainings of a trial: lottery tickets have several."""
    return pruning.find(trial.method.name).rehearse(dict(trial.method.options), trial.training.epochs)


def rounds(trial: TrialConfig) -> int:
    """Rounds of scoring before training."""
    method = pruning.find(trial.method.name)
    if not method.removes:
        return 0
    return int((method.options | dict(trial.method.options))["rounds"]) if method.rounds else 1


def with_rounds(trial: TrialConfig, number: int) -> TrialConfig:
    """The same trial with another number of rounds, of a method that has this option."""
    options = dict(trial.method.options) | {"rounds": number}
    return replace(trial, method=replace(trial.method, options=tuple(options.items())))


def expected(trial: TrialConfig, size: Size | None) -> Work:
    """The work of a trial; of one whose size is not known, the epochs alone."""
    if size is None:
        return Work(0.0, float(epochs(trial)))
    method, settings = pruning.find(trial.method.name), trial.pruning
    options = method.options | dict(trial.method.options)
    scored = max(settings.batches, method.batches(options)) * settings.batch_size if method.data else 1
    scored = max(scored, _LEAST_IMAGES)
    training = training_work(size, epochs(trial))
    return Work(float(rounds(trial) * scored * size.macs), training, FORWARD * size.test * size.macs)


def training_work(size: Size, epochs: int) -> float:
    """The work of so many epochs, each with its validation."""
    return epochs * (size.images + FORWARD * size.validation) * size.macs
