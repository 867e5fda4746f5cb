"""Crossings of curves and the median of censored runs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweep.statistics import Bound, Crossing, Run, crossing, median_survival, wilson_interval

PLACES = np.array([1.0, 2.0, 3.0])
NAN = np.nan


def curve(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows)


def test_a_crossing_is_interpolated_between_two_places() -> None:
    found = crossing(PLACES, curve((0.9, 0.8, 0.4)), curve((0.7, 0.7, 0.7)))
    assert found == Crossing(Bound(pytest.approx(2.25)), None, None)  # 0.1 above, 0.3 below


def test_a_curve_that_is_never_above_crosses_below_the_first_place_and_one_that_always_is_above_the_last() -> None:
    assert crossing(PLACES, curve((0.6, 0.8, 0.4)), curve((0.7,) * 3)).estimate == Bound(1.0, "below")
    assert crossing(PLACES, curve((0.8, 0.8, 0.8)), curve((0.7,) * 3)).estimate == Bound(3.0, "above")
    assert crossing(PLACES, curve((0.7, 0.8, 0.8)), curve((0.7,) * 3)).estimate == Bound(1.0)


def test_of_several_crossings_the_first_counts_and_gaps_are_passed_over() -> None:
    assert crossing(PLACES, curve((0.8, 0.6, 0.8)), curve((0.7,) * 3)).estimate.value == pytest.approx(1.5)
    assert crossing(PLACES, curve((0.8, NAN, 0.6)), curve((0.7,) * 3)).estimate.value == pytest.approx(2.0)
    assert crossing(PLACES, curve((NAN,) * 3), curve((0.7,) * 3)) is None


def test_the_last_crossing_is_where_the_curve_is_nowhere_above_beyond() -> None:
    def last(*heights: float) -> Bound:
        return crossing(PLACES, curve(heights), curve((0.7,) * 3), last=True).estimate

    assert last(0.6, 0.8, 0.4) == Bound(pytest.approx(2.25))  # it first meets the other between 1 and 2
    assert last(0.8, 0.6, 0.8) == Bound(3.0, "above")
    assert last(0.7, 0.6, 0.5) == Bound(1.0, "below")
    assert last(0.8, 0.6, 0.5) == Bound(pytest.approx(1.5))
    assert last(0.8, NAN, 0.6) == Bound(pytest.approx(2.0))
    assert last(0.8, 0.7, 0.6) == Bound(2.0)


def test_the_mean_over_seeds_crosses_and_not_the_seeds() -> None:
    found = crossing(PLACES, curve((1.0, 1.0, 0.0), (0.8, 0.4, NAN)), curve((0.75, 0.75, 0.75), (NAN, NAN, NAN)))
    assert found.estimate.value == pytest.approx(1.75)  # means 0.9, 0.7, 0: from 0.15 above to 0.05 below


def test_the_interval_is_that_of_drawing_seeds_one_by_one() -> None:
    """Its percentiles are those that have Student's width (Hesterberg 2015): for 6 seeds Φ(∓2.571 √(6/5))."""
    generator = np.random.default_rng(0)
    upper = np.array([0.9, 0.8, 0.4]) + generator.normal(0, 0.05, (6, 3))
    lower = np.full((6, 3), 0.7) + generator.normal(0, 0.02, (6, 3))
    found = crossing(PLACES, upper, lower, resamples=20_000)
    rows = generator.integers(0, 6, (20_000, 6))
    gaps = upper[rows].mean(axis=1) - lower[rows].mean(axis=1)
    places = [np.interp(0, -gap[1:], PLACES[1:]) for gap in gaps]  # all cross between 2 and 3
    level = stats.norm.cdf(-2.5706 * np.sqrt(6 / 5))
    assert (found.low.value, found.high.value) == pytest.approx(np.quantile(places, [level, 1 - level]), abs=0.02)
    assert found == crossing(PLACES, upper, lower, resamples=20_000)


def test_an_end_of_the_interval_may_be_censored() -> None:
    upper = curve((0.9, 0.9, 0.9), (0.9, 0.9, 0.9), (0.9, 0.7, 0.1))
    found = crossing(PLACES, upper, np.full((3, 3), 0.7))
    assert found.high == Bound(3.0, "above")
    assert found.low.side == "at"


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [10, 30])
def test_95_percent_of_crossing_intervals_cover_the_true_place(seeds: int) -> None:
    generator, covered = np.random.default_rng(2), []
    for number in range(2000):
        upper = np.array([0.9, 0.8, 0.4]) + generator.normal(0, 0.02, (seeds, 3))
        found = crossing(PLACES, upper, np.full((seeds, 3), 0.7), resamples=1000, seed=number)
        covered.append(found.low.value <= 2.25 <= found.high.value)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def runs(*ends: tuple[float, bool]) -> list[Run]:
    return [Run(last, ended) for last, ended in ends]


def test_the_median_run_passes_the_last_place_that_more_than_half_pass() -> None:
    found = median_survival(PLACES, runs((2, True), (3, True), (3, True)))  # all pass 1, two of three pass 2, none 3
    assert found.estimate == Bound(2.0)
    assert found.low == Bound(1.0, "below")  # Wilson's interval of 3 of 3 reaches below a half


def test_runs_that_never_end_or_end_at_once_are_censored() -> None:
    assert median_survival(PLACES, runs((3, False), (3, False))).estimate == Bound(3.0, "above")
    assert median_survival(PLACES, runs((1, True), (1, True))).estimate == Bound(1.0, "below")
    assert median_survival(PLACES, []) is None


def test_a_run_that_was_not_followed_is_no_run_that_ended() -> None:
    followed = median_survival(PLACES, runs((3, False), (2, False), (1, False)))
    assert followed.estimate == Bound(3.0, "above")


@given(st.lists(st.tuples(st.sampled_from([1.0, 2.0, 3.0]), st.booleans()), min_size=1, max_size=12))
def test_the_median_is_that_of_scipys_product_limit_estimate(ends: list[tuple[float, bool]]) -> None:
    found = median_survival(PLACES, runs(*ends))
    data = stats.CensoredData(
        uncensored=[last for last, ended in ends if ended], right=[last for last, ended in ends if not ended]
    )
    survival = stats.ecdf(data).sf
    shares = [float(survival.evaluate(place)) for place in PLACES if any(last >= place for last, _ in ends)]
    above = [place for place, share in zip(PLACES, shares, strict=False) if share > 0.5 + 1e-12]
    side = "below" if not above else "above" if len(above) == len(shares) else "at"
    assert found.estimate == Bound(above[-1] if above else 1.0, side)


def test_without_censoring_the_interval_is_wilsons_at_each_place() -> None:
    found = median_survival(PLACES, runs(*[(2, True)] * 2, *[(3, False)] * 18))
    shares = [wilson_interval(20, 20), wilson_interval(18, 20), wilson_interval(18, 20)]
    assert all(share.low > 0.5 for share in shares)
    assert (found.low, found.high) == (Bound(3.0, "above"), Bound(3.0, "above"))
