"""Which trials tell how long another one takes, by their configs alone."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sweep.config.trial_config import TrialConfig
from sweep.config.trial_identity import canonical, stored_identity

_TRAINING = ("batch_size", "optimizer", "precision", "channels_last", "accumulate")  # of these a step's time depends
_NOT_OF_A_STEP = ("train", "validation")  # settings of the data that only decide how many steps there are
_SEED = re.compile(r'"seed":\d+,')


class Likeness(NamedTuple):
    """What a trial has in common with others.

    Attributes:
        step: equal for trials whose rounds and steps take as long: the same network on images of the same kind, in
            batches of the same size.
        recipe: equal for trials that take as long where their method and sparsity are the same too.
        train, validation: of the images, as in the config.
    """

    step: str
    recipe: str
    train: float
    validation: float


def likeness(identity: Mapping[str, Any]) -> Likeness:
    """Of the trial with this :meth:`TrialConfig.identity`."""
    data, training = identity["data"], identity["training"]
    shared = {"architecture": identity["architecture"], "pruning": identity["pruning"]}
    step = {
        "data": {name: value for name, value in data.items() if name not in _NOT_OF_A_STEP},
        "training": {name: training[name] for name in _TRAINING},
    }
    recipe = shared | {"data": data, "training": training}
    return Likeness(canonical(shared | step), canonical(recipe), data.get("train", 1.0), data["validation"])


def of_trial(trial: TrialConfig) -> Likeness:
    """The likeness of a trial of a plan."""
    return likeness(trial.identity())


def of_record(config: str) -> Likeness | None:
    """The likeness of a stored trial by its column ``config``; None where that is of another version."""
    return _of_text(_SEED.sub("", config, count=1))  # seeds share it


@functools.lru_cache(maxsize=10_000)
def _of_text(config: str) -> Likeness | None:
    try:
        return likeness(stored_identity(json.loads(config)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
