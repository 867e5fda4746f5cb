"""Comparisons of a panel: every number derived a second time, and who is printed bold."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from sweep.records import DIVERGED, TrialRecord
from sweep.report.comparisons import Comparisons
from sweep.report.trials import Panel

from .conftest import panel, trial


def runs(method: str, sparsity: float, *accuracies: float, **facts: str) -> list[TrialRecord]:
    return [trial(method, sparsity, seed, accuracy, **facts) for seed, accuracy in enumerate(accuracies)]


def accuracies(level: float, salt: int, count: int = 5) -> list[float]:
    """Like test accuracies: multiples of 1/10,000."""
    return [round(float(a), 4) for a in np.random.default_rng(salt).normal(level, 0.01, count)]


@pytest.fixture
def three() -> tuple[Panel, dict[tuple[str, float], np.ndarray]]:
    """Random, SNIP and FORCE with five seeds at two sparsities."""
    levels = {("random", 0.9): 0.80, ("snip", 0.9): 0.85, ("force", 0.9): 0.853,
              ("random", 0.99): 0.60, ("snip", 0.99): 0.70, ("force", 0.99): 0.78}  # fmt: skip
    values = {key: np.array(accuracies(level, salt)) for salt, (key, level) in enumerate(levels.items())}
    return panel(run for key, heights in values.items() for run in runs(*key, *heights)), values


def test_every_number_of_all_pairs_is_one_of_scipy_or_statsmodels(three) -> None:
    only, values = three
    found = Comparisons(only, margin=0.01).all_pairs
    assert [(c.method_a, c.method_b, c.sparsity) for c in found] == [
        (a, b, s) for s in (0.9, 0.99) for a, b in (("snip", "random"), ("force", "random"), ("force", "snip"))
    ]
    p_values = []
    for one in found:
        a, b = values[one.method_a, one.sparsity], values[one.method_b, one.sparsity]
        test = stats.ttest_rel(a, b)
        interval = test.confidence_interval()
        p_values.append(test.pvalue)
        assert (one.n, one.n_all) == (5, 5)
        assert (one.mean, one.std) == pytest.approx(((a - b).mean(), (a - b).std(ddof=1)))
        assert (one.low, one.high, one.p_t) == pytest.approx((interval.low, interval.high, test.pvalue))
        exact = stats.permutation_test((a, b), lambda x, y: (x - y).mean(), permutation_type="samples")
        assert one.p_permutation == pytest.approx(exact.pvalue)
        assert one.probability.estimate == pytest.approx((a > b).mean() + (a == b).mean() / 2)
        tost = ttost_paired(a, b, -0.01, 0.01)[0]
        assert (one.p_equivalence, one.equivalent) == (pytest.approx(tost), tost < 0.05)
        for seeds, points in ((one.seeds_half_point, 0.005), (one.seeds_one_point, 0.01)):
            needed = TTestPower().solve_power(points / (a - b).std(ddof=1), power=0.8, alpha=0.05)
            assert seeds == np.ceil(needed)
    assert [c.p_holm for c in found] == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_holm_covers_the_comparisons_of_one_table_over_all_sparsities(three) -> None:
    only, values = three
    found = Comparisons(only)
    assert found.reference == "random"
    assert [(c.method_a, c.method_b) for c in found.with_reference] == [("snip", "random"), ("force", "random")] * 2
    p_values = [stats.ttest_rel(values[c.method_a, c.sparsity], values["random", c.sparsity]).pvalue
                for c in found.with_reference]  # fmt: skip
    assert [c.p_holm for c in found.with_reference] == pytest.approx(list(multipletests(p_values, method="holm")[1]))
    assert len(found.all_pairs) == 6  # which corrects for six


def test_turned_round_a_comparison_is_the_other_way_round(three) -> None:
    only, values = three
    one = Comparisons(only).all_pairs[0].reversed()
    interval = stats.ttest_rel(values["random", 0.9], values["snip", 0.9]).confidence_interval()
    assert (one.method_a, one.method_b) == ("random", "snip")
    assert (one.low, one.high) == pytest.approx((interval.low, interval.high))
    assert one.probability.estimate == 0.0
    assert one.reversed() == Comparisons(only).all_pairs[0]


def test_seeds_at_chance_count_in_the_probability_and_not_in_the_difference() -> None:
    only = panel(runs("snip", 0.99, 0.8, 0.1, 0.8, 0.1) + runs("force", 0.99, 0.82, 0.82, 0.82, 0.1))
    (one,) = Comparisons(only).all_pairs
    assert (one.n, one.n_all, one.collapsed_a, one.collapsed_b) == (2, 4, 1, 2)
    assert one.mean == pytest.approx(0.02)
    assert one.mean_all == pytest.approx((0.02 + 0.72 + 0.02 + 0) / 4)
    assert one.probability.estimate == 3.5 / 4


def test_one_seed_has_a_difference_and_no_test() -> None:
    (one,) = Comparisons(panel(runs("snip", 0.99, 0.8) + runs("force", 0.99, 0.82))).all_pairs
    assert one.mean == pytest.approx(0.02)
    assert {one.low, one.p_t, one.p_permutation, one.p_holm, one.equivalent, one.seeds_one_point} == {None}


def test_controls_are_compared_with_their_own_method_alone() -> None:
    control = {"method_label": "snip ablation=invert"}
    found = Comparisons(
        panel(runs("snip", 0.9, 0.8, 0.8) + runs("snip", 0.9, 0.3, 0.4, **control) + runs("random", 0.9, 0.7, 0.7))
    )
    assert [(c.method_a, c.method_b) for c in found.of_controls] == [("snip ablation=invert", "snip")]
    assert [(c.method_a, c.method_b) for c in found.all_pairs] == [("snip", "random")]


def test_bold_marks_every_method_not_worse_than_the_best() -> None:
    best, close = [0.90, 0.91, 0.92, 0.91], [0.91, 0.90, 0.91, 0.91]
    worse = [0.89, 0.90, 0.908, 0.90]  # a point below in every seed, nearly: t is large
    found = Comparisons(panel(runs("force", 0.9, *best) + runs("grasp", 0.9, *close) + runs("snip", 0.9, *worse)))
    p_values = [stats.ttest_rel(best, other).pvalue for other in (worse, close)]
    assert multipletests(p_values, method="holm")[0].tolist() == [True, False]
    assert found.not_worse == {("force", 0.9), ("grasp", 0.9)}


def test_nothing_is_bold_below_three_seeds() -> None:
    found = Comparisons(panel(runs("force", 0.9, 0.9, 0.9) + runs("snip", 0.9, 0.1, 0.1)))
    assert (found.not_worse, found.undecided) == (frozenset(), (0.9,))


def test_a_method_of_fewer_than_three_seeds_is_not_bold_beside_one_of_three() -> None:
    found = Comparisons(panel(runs("force", 0.9, 0.95, 0.95) + runs("snip", 0.9, 0.9, 0.91, 0.92)))
    assert found.not_worse == {("snip", 0.9)}


def test_a_method_with_a_run_that_collapsed_or_diverged_is_not_bold() -> None:
    found = runs("force", 0.9, 0.95, 0.95, 0.95, 0.1) + runs("snip", 0.9, 0.9, 0.91, 0.92, 0.9)
    found += [*runs("grasp", 0.9, 0.97, 0.97, 0.97), trial("grasp", 0.9, 3, None, status=DIVERGED)]
    assert Comparisons(panel(found)).not_worse == {("snip", 0.9)}


def test_tied_methods_are_both_bold() -> None:
    found = Comparisons(panel(runs("force", 0.9, 0.8, 0.9, 0.7) + runs("snip", 0.9, 0.8, 0.9, 0.7)))
    assert found.not_worse == {("force", 0.9), ("snip", 0.9)}


def test_a_panel_of_one_method_has_no_comparison_and_that_method_is_the_best() -> None:
    found = Comparisons(panel(runs("force", 0.9, 0.8, 0.9, 0.7)))
    assert (found.all_pairs, found.with_reference, found.reference) == ((), (), None)
    assert found.not_worse == {("force", 0.9)}
