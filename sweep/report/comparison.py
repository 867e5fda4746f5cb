"""One comparison: two methods at one sparsity, paired by seed."""

from dataclasses import dataclass, replace

from sweep.report.cells import Cell, PairedDifference, paired
from sweep.statistics import (
    Interval,
    equivalence_p,
    paired_t_p,
    pairs_needed,
    probability_of_superiority,
    sign_flip_p,
    t_interval,
)

LEVEL = 0.05
HALF_POINT, ONE_POINT = 0.005, 0.01
EQUIVALENCE = HALF_POINT  # the margin within which two methods are equivalent, by default


@dataclass(frozen=True)
class Comparison:
    """Accuracy of method A minus that of method B, as fractions, over seeds that started from the same weights.

    Attributes:
        method_a, method_b: labels.
        n: seeds where both trained; of these are mean, interval, tests, equivalence and seeds needed.
        mean: of the differences; None of no seeds.
        std: their sample standard deviation; None below two seeds, as the interval and all tests.
        low, high: the 95 % t-interval of the mean; None without spread, as equivalence and seeds needed.
        p_t: of the two-sided paired t-test; without spread ``p_permutation``.
        p_permutation: of the two-sided sign-flip permutation test.
        p_holm: ``p_t`` by Holm's correction over the comparisons of the same table and panel.
        n_all: seeds that both completed, those at chance too; of these are the two fields below.
        mean_all: mean of their differences.
        probability: P(A > B), the share of seeds where A is higher, with Wilson's interval.
        collapsed_a, collapsed_b: seeds of ``n_all`` where A, or B, ended at chance.
        p_equivalence: of two one-sided t-tests.
        equivalent: whether the means are equivalent within the margin, at the 5 % level.
        seeds_half_point, seeds_one_point: seeds with which the paired t-test would find a true difference of 0.5
            points, or of 1 point, with 80 % power, if differences spread as these do.
        unlike: seeds left out because the two started from different initial weights.
        in_pieces: seeds of ``n`` where the two split their batches differently.
    """

    method_a: str
    method_b: str
    sparsity: float
    n: int
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    p_t: float | None
    p_permutation: float | None
    p_holm: float | None
    n_all: int
    mean_all: float | None
    probability: Interval | None
    collapsed_a: int
    collapsed_b: int
    p_equivalence: float | None
    equivalent: bool | None
    seeds_half_point: int | None
    seeds_one_point: int | None
    unlike: int = 0
    in_pieces: int = 0

    @property
    def without_spread(self) -> bool:
        """Whether the differences of two seeds or more are all equal, so that nothing tells how far they would vary."""
        return self.std == 0

    @property
    def significant(self) -> bool:
        """Whether the corrected test tells the two apart."""
        return self.p_holm is not None and self.p_holm <= LEVEL

    def corrected(self, p_holm: float | None) -> "Comparison":
        """With this ``p_holm``."""
        return replace(self, p_holm=p_holm)

    def reversed(self) -> "Comparison":
        """B minus A."""
        probability = self.probability
        return replace(
            self,
            method_a=self.method_b,
            method_b=self.method_a,
            mean=_negative(self.mean),
            low=_negative(self.high),
            high=_negative(self.low),
            mean_all=_negative(self.mean_all),
            probability=probability and Interval(1 - probability.estimate, 1 - probability.high, 1 - probability.low),
            collapsed_a=self.collapsed_b,
            collapsed_b=self.collapsed_a,
        )


def compare(cell: Cell, reference: Cell, margin: float = EQUIVALENCE) -> Comparison:
    """``cell`` minus ``reference``; ``p_holm`` is None, as one comparison knows no others.

    Args:
        cell: of method A.
        reference: of method B, at the same sparsity.
        margin: within which the two are equivalent, as a fraction.
    """
    pair = paired(cell, reference)
    differences, std, all_differences = pair.differences, pair.std, pair.with_chance
    interval = t_interval(differences) if std else None
    p_equivalence = equivalence_p(differences, margin)
    return Comparison(
        method_a=cell.method_label,
        method_b=reference.method_label,
        sparsity=cell.sparsity,
        n=len(differences),
        mean=pair.mean,
        std=std,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        p_t=paired_t_p(differences),
        p_permutation=sign_flip_p(differences),
        p_holm=None,
        n_all=len(all_differences),
        mean_all=_mean_all(pair),
        probability=probability_of_superiority(all_differences) if all_differences else None,
        collapsed_a=sum(first for first, _ in pair.at_chance),
        collapsed_b=sum(second for _, second in pair.at_chance),
        p_equivalence=p_equivalence,
        equivalent=None if p_equivalence is None else p_equivalence < LEVEL,
        seeds_half_point=pairs_needed(HALF_POINT, std) if std else None,
        seeds_one_point=pairs_needed(ONE_POINT, std) if std else None,
        unlike=pair.unlike,
        in_pieces=pair.in_pieces,
    )


def _mean_all(pair: PairedDifference) -> float | None:
    return sum(pair.with_chance) / len(pair.with_chance) if pair.with_chance else None


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
