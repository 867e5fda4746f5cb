"""Intervals against SciPy, statsmodels and their nominal coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from sweep.statistics import t_interval, t_quantile, wilson_interval

TEXTBOOK = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 9: 2.262, 30: 2.042, 120: 1.980}


@pytest.mark.parametrize(("freedom", "t"), TEXTBOOK.items())
def test_the_95_percent_quantile_is_that_of_every_textbook(freedom: int, t: float) -> None:
    assert t_quantile(0.95, freedom) == pytest.approx(t, abs=5e-4)


def test_the_interval_of_two_values_by_hand() -> None:
    found = t_interval([1.0, 3.0])  # s = √2, so s/√2 = 1 and the half-width is t itself
    assert (found.estimate, found.low, found.high) == pytest.approx((2, 2 - 12.7062, 2 + 12.7062), abs=1e-4)


def test_the_interval_of_three_values_by_hand() -> None:
    found = t_interval([1.0, 2.0, 3.0])  # s = 1
    assert (found.estimate, found.high - found.estimate) == pytest.approx((2, 4.30265 / math.sqrt(3)), abs=1e-4)


def test_equal_values_have_an_interval_of_no_width() -> None:
    found = t_interval([-4.0, -4.0, -4.0])
    assert found.low == found.estimate == found.high == -4


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_have_none(values: list[float]) -> None:
    with pytest.raises(ValueError, match="two values or more"):
        t_interval(values)


@given(
    st.lists(st.integers(0, 1000).map(lambda k: k / 1000), min_size=2, max_size=20, unique=True),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_the_t_interval_is_scipys(values: list[float], confidence: float) -> None:
    found = t_interval(values, confidence)
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("successes", "trials"), [(0, 3), (1, 3), (3, 3), (7, 50), (50, 50), (1, 1)])
def test_wilsons_interval_is_that_of_statsmodels(successes: int, trials: int) -> None:
    found = wilson_interval(successes, trials)
    expected = proportion_confint(successes, trials, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    assert found.estimate == successes / trials


def test_wilsons_interval_reaches_the_end_exactly_where_the_rate_does() -> None:
    assert wilson_interval(0, 3).low == 0.0
    assert wilson_interval(3, 3).high == 1.0


@pytest.mark.parametrize("count", [3, 5, 10])
def test_95_percent_of_t_intervals_cover_the_true_mean(count: int) -> None:
    runs = np.random.default_rng(count).normal(0.9, 0.01, (20_000, count))
    half_width = t_quantile(0.95, count - 1) * runs.std(axis=1, ddof=1) / math.sqrt(count)
    covered = np.abs(runs.mean(axis=1) - 0.9) <= half_width
    for row, is_covered in zip(runs[:200], covered[:200], strict=True):  # the vectors above are the function's
        found = t_interval(list(row))
        assert (found.low <= 0.9 <= found.high) == is_covered
    assert covered.mean() == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("trials", [3, 10, 30])
def test_95_percent_of_wilsons_intervals_cover_the_true_rate_averaged_over_rates(trials: int) -> None:
    rates = (np.arange(2000) + 0.5) / 2000
    coverage = np.zeros_like(rates)
    for successes in range(trials + 1):
        found = wilson_interval(successes, trials)
        coverage += stats.binom.pmf(successes, trials, rates) * ((found.low <= rates) & (rates <= found.high))
    assert coverage.mean() == pytest.approx(0.95, abs=0.012 if trials == 3 else 0.01)
