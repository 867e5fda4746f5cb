"""The order in which the trials of a launch start."""

import math
from collections.abc import Mapping

from sweep.config.trial_config import TrialConfig
from sweep.trial.work import Kind

SAME = 1.25  # a trial that takes less than about so many times as long as another counts as long as it


def longest_first(trials: Mapping[str, TrialConfig], lengths: Mapping[Kind, float]) -> dict[str, TrialConfig]:
    """Seed by seed, as a sweep lists them, and of each seed the longest trials first.

    Seeds stay together, so that a stopped sweep has complete comparisons. The shortest trials of the last seed start
    last, so that all machines end at about the same time, instead of most of them waiting for one long trial.

    Args:
        trials: by id, in the order of the sweep, which those of about the same length keep.
        lengths: of the trials of each kind, in any unit.
    """
    seeds = {seed: place for place, seed in enumerate(dict.fromkeys(trial.seed for trial in trials.values()))}
    steps = {kind: round(math.log(max(length, 1e-9), SAME)) for kind, length in lengths.items()}

    def place(item: tuple[str, TrialConfig]) -> tuple[int, int]:
        trial = item[1]
        return seeds[trial.seed], -steps[Kind.of(trial)]

    return dict(sorted(trials.items(), key=place))
