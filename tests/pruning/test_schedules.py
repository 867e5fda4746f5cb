"""Densities after each round, and the counts that follow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruning.schedules import SCHEDULES, exponential, kept_counts, linear, truncated_counts


def test_exponential_is_the_geometric_mean_between_all_and_the_target():
    alpha, n, k = 7 / 20, 1000, 10
    by_paper = math.exp(alpha * math.log(k) + (1 - alpha) * math.log(n))
    assert n * exponential(k / n, 7, 20) == pytest.approx(by_paper, rel=1e-12)


def test_linear_removes_the_same_share_every_round():
    assert [linear(0.2, step, 4) for step in (1, 2, 3, 4)] == pytest.approx([0.8, 0.6, 0.4, 0.2], rel=1e-12)


def test_exponential_halves_to_an_eighth_in_three_rounds():
    assert kept_counts(800, 100, 3, "exponential") == [400, 200, 100]


@given(st.integers(1, 10**8), st.data(), st.integers(1, 300), st.sampled_from(sorted(SCHEDULES)))
def test_counts_never_rise_and_end_exactly(total, data, rounds, schedule):
    kept = data.draw(st.integers(0, total))
    counts = kept_counts(total, kept, rounds, schedule)
    assert len(counts) == rounds
    assert counts[-1] == kept
    assert counts == sorted(counts, reverse=True)
    assert max(counts) <= total


def test_counts_as_the_force_authors_round_them_are_cut_down_from_the_density_asked_for():
    # 1432 · 0.1^(1/3) = 664.68 and · 0.1^(2/3) = 308.51; the last is ours
    assert truncated_counts(1432, 143, 3, "exponential", 0.9) == [664, 308, 143]
    assert kept_counts(1432, 143, 3, "exponential") == [664, 308, 143]
    assert kept_counts(1439, 144, 3, "exponential") == [668, 310, 144]
    assert truncated_counts(1439, 144, 3, "exponential", 0.9) == [667, 310, 144]
    assert truncated_counts(1432, 143, 2, "linear", 0.9) == [787, 143]
    assert truncated_counts(10, 10, 3, "exponential", 0.0) == [10, 10, 10]
