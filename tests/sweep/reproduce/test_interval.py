"""Student's t without scipy, by the textbook's table, by scipy and by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.reproduce.interval import t_interval, t_quantile, within

TEXTBOOK = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 9: 2.262, 30: 2.042, 120: 1.980}


@pytest.mark.parametrize(("freedom", "t"), TEXTBOOK.items())
def test_the_95_percent_quantile_is_that_of_every_textbook(freedom: int, t: float) -> None:
    assert t_quantile(0.95, freedom) == pytest.approx(t, abs=5e-4)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_quantiles_are_scipys(level: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    for freedom in range(1, 41):
        assert t_quantile(level, freedom) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)


@given(st.floats(0.01, 0.999), st.integers(1, 60))
def test_the_quantile_inverts_the_probability(level: float, freedom: int) -> None:
    assert within(t_quantile(level, freedom), freedom) == pytest.approx(level, abs=1e-12)


def test_with_one_degree_of_freedom_half_of_cauchys_distribution_lies_within_one() -> None:
    assert within(1.0, 1) == pytest.approx(0.5)


def test_the_interval_of_two_values_by_hand() -> None:
    found = t_interval([1.0, 3.0])  # s = √2, so s/√2 = 1 and the reach is t itself
    assert (found.mean, found.low, found.high) == pytest.approx((2, 2 - 12.7062, 2 + 12.7062), abs=1e-4)


def test_the_interval_of_three_values_by_hand() -> None:
    found = t_interval([1.0, 2.0, 3.0])  # s = 1
    assert (found.mean, found.high - found.mean) == pytest.approx((2, 4.30265 / math.sqrt(3)), abs=1e-4)


def test_equal_values_have_an_interval_of_no_width() -> None:
    found = t_interval([-4.0, -4.0, -4.0])
    assert found.low == found.mean == found.high == -4


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_have_none(values: list[float]) -> None:
    with pytest.raises(ValueError, match="two values or more"):
        t_interval(values)
