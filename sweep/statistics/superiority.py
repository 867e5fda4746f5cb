"""P(A > B): how often one of a pair is the higher."""

from collections.abc import Sequence

from sweep.statistics.interval import CONFIDENCE, Interval, wilson_interval


def probability_of_superiority(differences: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The share of pairs with a difference above 0, ties counting half, with Wilson's interval.

    The share is that of Bouthillier et al. 2021 ("Accounting for variance in machine learning benchmarks"). They
    bootstrap its interval, which is empty where one side wins all pairs; Wilson's is not.

    Raises:
        ValueError: no pairs.
    """
    wins = sum(1.0 if difference > 0 else 0.5 if difference == 0 else 0.0 for difference in differences)
    return wilson_interval(wins, len(differences), confidence)
