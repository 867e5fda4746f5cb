"""Tests of paired differences against SciPy, statsmodels and brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from sweep.statistics import (
    equivalence_p,
    holm,
    paired_power,
    paired_t_p,
    pairs_needed,
    probability_of_superiority,
    sign_flip_p,
    wilson_interval,
)

DIFFERENCES = st.lists(st.integers(-200, 200).map(lambda k: k / 1000), min_size=2, max_size=9)


@given(DIFFERENCES)
def test_the_paired_t_test_is_scipys(differences: list[float]) -> None:
    found = paired_t_p(differences)
    if len(set(differences)) > 1:
        assert found == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=1e-9)
    else:
        assert found == sign_flip_p(differences) > 0


def test_equal_differences_are_no_certainty() -> None:
    assert paired_t_p([1 / 360] * 3) == 0.25  # 2 of 2³ sign patterns
    assert paired_t_p([1 / 360] * 5) == 0.0625
    assert paired_t_p([0.0] * 3) == 1.0
    assert equivalence_p([1 / 360] * 3, 0.005) is None


def test_differences_that_are_equal_but_for_rounding_have_no_spread() -> None:
    assert paired_t_p([0.9 - 0.8, 0.8 - 0.7, 0.7 - 0.6]) == 0.25


@given(DIFFERENCES)
def test_the_permutation_p_is_the_share_of_sign_patterns_at_least_as_extreme(differences: list[float]) -> None:
    whole = [round(1000 * difference) for difference in differences]  # integers: sums without rounding
    patterns = list(itertools.product((1, -1), repeat=len(whole)))
    sums = [abs(sum(s * d for s, d in zip(pattern, whole, strict=True))) for pattern in patterns]
    assert sign_flip_p(differences) == sum(total >= abs(sum(whole)) for total in sums) / len(patterns)


def test_three_seeds_never_have_a_permutation_p_below_a_quarter() -> None:
    assert sign_flip_p([0.3, 0.31, 0.29]) == 0.25


def test_beyond_twelve_seeds_sampled_patterns_agree_with_scipy_and_are_the_same_every_time() -> None:
    differences = list(np.random.default_rng(1).normal(0.4, 1, 20))
    found = sign_flip_p(differences)
    assert found == sign_flip_p(differences)
    expected = stats.permutation_test(
        (np.array(differences), np.zeros(20)), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples",
        n_resamples=20_000, vectorized=True, rng=np.random.default_rng(2),
    ).pvalue  # fmt: skip
    assert found == pytest.approx(expected, abs=0.01)


def test_the_sampled_test_keeps_its_level() -> None:
    generator = np.random.default_rng(3)
    p_values = [sign_flip_p(list(generator.normal(0, 1, 13))) for _ in range(2000)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("test", [paired_t_p, sign_flip_p, lambda d: equivalence_p(d, 0.1)])
def test_one_seed_is_no_test(test) -> None:
    assert test([0.1]) is None
    assert test([]) is None


@settings(max_examples=15)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12))
def test_holm_is_that_of_statsmodels_and_leaves_out_what_was_not_tested(p_values: list[float | None]) -> None:
    tested = [p for p in p_values if p is not None]
    expected = iter(multipletests(tested, method="holm")[1] if tested else [])
    wanted = [None if p is None else next(expected) for p in p_values]
    assert holm(p_values) == [None if p is None else pytest.approx(p) for p in wanted]


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(DIFFERENCES, st.sampled_from([0.005, 0.02, 0.1]))
def test_equivalence_is_that_of_statsmodels(differences: list[float], margin: float) -> None:
    if len(set(differences)) == 1:
        assert equivalence_p(differences, margin) is None
        return
    values = np.array(differences)
    assert equivalence_p(differences, margin) == pytest.approx(
        ttost_paired(values, np.zeros_like(values), -margin, margin)[0], abs=1e-9
    )


def test_a_margin_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        equivalence_p([0.1, 0.2], 0)


@given(DIFFERENCES)
def test_the_probability_of_superiority_counts_ties_as_half(differences: list[float]) -> None:
    wins = np.mean([1 if d > 0 else 0.5 if d == 0 else 0 for d in differences])
    found = probability_of_superiority(differences)
    assert found.estimate == pytest.approx(wins)
    assert found == wilson_interval(wins * len(differences), len(differences))


@pytest.mark.parametrize("effect", [0.2, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("pairs", [2, 5, 40])
def test_power_is_that_of_statsmodels(pairs: int, effect: float) -> None:
    assert paired_power(pairs, effect) == pytest.approx(TTestPower().power(effect, pairs, 0.05), abs=1e-6)


@pytest.mark.parametrize("std", [0.001, 0.004, 0.01, 0.03, 0.2])
def test_the_seeds_needed_are_the_fewest_with_80_percent_power(std: float) -> None:
    needed = pairs_needed(0.005, std)
    assert paired_power(needed, 0.005 / std) >= 0.8
    assert needed == 2 or paired_power(needed - 1, 0.005 / std) < 0.8


def test_seeds_needed_find_the_difference_in_80_percent_of_simulated_sweeps() -> None:
    needed = pairs_needed(0.01, 0.012)
    runs = np.random.default_rng(0).normal(0.01, 0.012, (20_000, needed))
    found = stats.ttest_1samp(runs, 0, axis=1).pvalue <= 0.05
    assert found.mean() + 0.01 >= 0.8
    assert found.mean() <= 0.86  # one seed fewer has less than 80 %


def test_without_spread_two_seeds_are_enough_and_with_too_much_no_number_is() -> None:
    assert pairs_needed(0.005, 0.0) == 2
    assert pairs_needed(0.005, 1000.0) is None
