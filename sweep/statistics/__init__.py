"""Statistics on plain numbers: they know nothing of trials, stores or reports. On SciPy.

mean.py                 arithmetic mean and sample standard deviation
interval.py             Student's t-interval of a mean, Wilson's interval of a rate
paired_test.py          p-values of paired differences: t and sign-flip permutation
holm.py                 Holm's correction of several p-values
superiority.py          P(A > B) over pairs, with an interval
equivalence.py          two one-sided tests: equivalent within a margin
power.py                pairs needed to tell a difference
interquartile_mean.py   mean of the middle half, with a stratified bootstrap interval
improvement.py          probability of improvement over several tasks
ranks.py                average ranks, Friedman's test and Nemenyi's critical difference
crossing.py             where a curve first falls to another
survival.py             Kaplan and Meier's median, with an interval, of censored values
resampling.py           seeds drawn with replacement

Every function that draws random numbers takes a seed and returns equal numbers for equal arguments.
"""

from sweep.statistics.crossing import Bound, Crossing, crossing
from sweep.statistics.equivalence import equivalence_p
from sweep.statistics.holm import holm
from sweep.statistics.improvement import probabilities_of_improvement
from sweep.statistics.interquartile_mean import interquartile_mean
from sweep.statistics.interval import CONFIDENCE, Interval, t_interval, t_quantile, wilson_interval
from sweep.statistics.mean import mean, sample_std, spread
from sweep.statistics.paired_test import paired_t_p, sign_flip_p
from sweep.statistics.power import paired_power, pairs_needed
from sweep.statistics.ranks import Ranks, average_ranks
from sweep.statistics.resampling import RESAMPLES
from sweep.statistics.superiority import probability_of_superiority
from sweep.statistics.survival import MedianSurvival, Run, median_survival

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "Bound",
    "Crossing",
    "Interval",
    "MedianSurvival",
    "Ranks",
    "Run",
    "average_ranks",
    "crossing",
    "equivalence_p",
    "holm",
    "interquartile_mean",
    "mean",
    "median_survival",
    "paired_power",
    "paired_t_p",
    "pairs_needed",
    "probabilities_of_improvement",
    "probability_of_superiority",
    "sample_std",
    "sign_flip_p",
    "spread",
    "t_interval",
    "t_quantile",
    "wilson_interval",
]
