"""The interquartile mean over tasks and runs (Agarwal et al. 2021, the library rliable)."""

from collections.abc import Sequence

import numpy as np

from sweep.statistics.interval import CONFIDENCE, Interval
from sweep.statistics.resampling import RESAMPLES, indices, percentiles


def interquartile_mean(
    tasks: Sequence[Sequence[float]], confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The mean of the middle half of all values, whichever task they belong to: ⌊n/4⌋ are cut at each end.

    The interval is the percentile interval of a stratified bootstrap: each task's runs are drawn with replacement among
    themselves. Of few runs such an interval is too narrow (about 0.8 of the width with three a task).

    Args:
        tasks: the values of each task's runs, one a run; at least one task, each with a run.
        confidence: of the interval.
        resamples: bootstrap samples.
        seed: of the bootstrap.
    """
    arrays, generator = [np.asarray(runs, float) for runs in tasks], np.random.default_rng(seed)
    drawn = np.concatenate([runs[indices(generator, len(runs), resamples)] for runs in arrays], axis=1)
    low, high = percentiles(_middle_mean(drawn), confidence)
    return Interval(float(_middle_mean(np.concatenate(arrays)[None])[0]), low, high)


def _middle_mean(values: np.ndarray) -> np.ndarray:
    """Of each row."""
    cut = values.shape[1] // 4
    return np.sort(values, axis=1)[:, cut : values.shape[1] - cut].mean(axis=1)
