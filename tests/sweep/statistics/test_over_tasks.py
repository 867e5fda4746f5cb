"""Interquartile mean, probability of improvement and ranks, each derived a second time."""

import itertools

import numpy as np
import pytest
from scipy import stats

from sweep.statistics import average_ranks, interquartile_mean, probabilities_of_improvement


def test_the_interquartile_mean_is_scipys_trimmed_mean_of_all_values() -> None:
    tasks = [list(np.random.default_rng(n).normal(n, 1, n)) for n in (3, 4, 6)]
    assert interquartile_mean(tasks).estimate == pytest.approx(stats.trim_mean(np.concatenate(tasks), 0.25))


def test_its_interval_is_that_of_scipys_bootstrap_within_tasks() -> None:
    tasks = [np.random.default_rng(n).normal(n / 10, 1, 12) for n in range(4)]
    found = interquartile_mean([list(task) for task in tasks], resamples=20_000)
    expected = stats.bootstrap(
        tasks, lambda *runs, axis=-1: stats.trim_mean(np.concatenate(runs, axis=-1), 0.25, axis=axis),
        method="percentile", n_resamples=20_000, rng=np.random.default_rng(5), vectorized=True,
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_bootstraps_give_the_same_numbers_every_time() -> None:
    tasks = [list(np.random.default_rng(n).normal(n, 1, 9)) for n in range(2)]
    assert interquartile_mean(tasks) == interquartile_mean(tasks)
    assert interquartile_mean(tasks, seed=1) != interquartile_mean(tasks)


def test_95_percent_of_interquartile_intervals_cover_the_truth_with_fifty_runs_a_task() -> None:
    """Of normal tasks with equal means the true interquartile mean is that mean."""
    generator, covered = np.random.default_rng(0), []
    for number in range(2000):
        runs = generator.normal(0.9, 0.01, (2, 50))
        found = interquartile_mean(list(runs), resamples=400, seed=number)
        covered.append(found.low <= 0.9 <= found.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def test_the_probability_of_improvement_is_the_mean_of_mann_whitney_statistics() -> None:
    generator = np.random.default_rng(4)
    tasks = [{name: list(generator.integers(0, 5, n) / 5) for name, n in (("a", 4), ("b", 6))} for _ in range(3)]
    (found,) = probabilities_of_improvement(tasks, [("a", "b")])
    expected = [stats.mannwhitneyu(task["a"], task["b"]).statistic / 24 for task in tasks]
    assert found.estimate == pytest.approx(np.mean(expected))


def test_its_interval_is_that_of_resampling_the_runs_of_each_task_by_name() -> None:
    generator = np.random.default_rng(6)
    tasks = [{"a": generator.normal(0.5, 1, 8), "b": generator.normal(0, 1, 7)} for _ in range(3)]
    (found,) = probabilities_of_improvement(tasks, [("a", "b")], resamples=20_000)
    drawn = np.zeros(20_000)
    for task in tasks:
        first, second = (runs[generator.integers(0, len(runs), (20_000, len(runs)))] for runs in task.values())
        drawn += (first[:, :, None] > second[:, None, :]).mean(axis=(1, 2)) / 3
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_each_pair_of_methods_and_its_reverse_add_up_to_one() -> None:
    tasks = [{"a": [1.0, 2.0], "b": [2.0, 3.0]}, {"a": [0.0], "b": [0.0]}]
    first, second = probabilities_of_improvement(tasks, [("a", "b"), ("b", "a")])
    assert first.estimate == pytest.approx((0.125 + 0.5) / 2)
    assert first.estimate + second.estimate == pytest.approx(1)


def test_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="one task"):
        probabilities_of_improvement([], [("a", "b")])


def test_95_percent_of_intervals_cover_the_true_probability_of_improvement() -> None:
    generator, covered = np.random.default_rng(1), []
    truth = stats.norm.cdf(0.5 / np.sqrt(2))
    for number in range(2000):
        tasks = [{"a": generator.normal(0.5, 1, 50), "b": generator.normal(0, 1, 50)}]
        (found,) = probabilities_of_improvement(tasks, [("a", "b")], resamples=400, seed=number)
        covered.append(found.low <= truth <= found.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def test_ranks_by_hand() -> None:
    scores = np.array([[0.9, 0.8, 0.7], [0.9, 0.9, 0.7], [0.5, 0.8, 0.7], [0.9, 0.8, 0.7]])
    found = average_ranks(scores)  # ranks 1 2 3, 1.5 1.5 3, 3 1 2, 1 2 3
    assert found.averages == pytest.approx((6.5 / 4, 6.5 / 4, 11 / 4))
    assert found.p_friedman == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)


@pytest.mark.parametrize(("methods", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_the_quantiles_of_demsars_table(methods: int, quantile: float) -> None:
    scores = np.random.default_rng(0).random((7, methods))
    expected = quantile * np.sqrt(methods * (methods + 1) / 42)
    assert average_ranks(scores).critical_difference == pytest.approx(expected, rel=1e-3)


def test_where_all_methods_are_alike_friedmans_p_is_one_and_one_task_has_no_test() -> None:
    assert average_ranks(np.ones((3, 3))).p_friedman == 1.0
    alone = average_ranks(np.array([[0.1, 0.3]]))
    assert (alone.averages, alone.p_friedman, alone.critical_difference) == ((2.0, 1.0), None, None)


def test_average_ranks_sum_to_a_constant() -> None:
    for tasks, methods in itertools.product((1, 4), (2, 5)):
        scores = np.random.default_rng(methods).integers(0, 3, (tasks, methods)) / 2
        assert sum(average_ranks(scores).averages) == pytest.approx(methods * (methods + 1) / 2)
