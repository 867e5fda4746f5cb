import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.records import DIVERGED, FAILED, INTERRUPTED
from sweep.report.cells import (
    best,
    chance_limit,
    is_collapsed,
    paired,
)
from sweep.statistics import mean, sample_std

from .conftest import panel, trial


def test_mean_and_std_are_those_of_hand_arithmetic_with_n_minus_one() -> None:
    (cell,) = panel(trial("snip", 0.9, seed, a) for seed, a in enumerate((0.90, 0.92, 0.97))).cells
    assert cell.n == 3
    assert cell.mean == pytest.approx(0.93)
    assert cell.std == pytest.approx(math.sqrt((0.03**2 + 0.01**2 + 0.04**2) / 2))


def test_one_run_has_no_std_and_none_has_no_mean() -> None:
    assert sample_std([0.9]) is None
    assert mean([]) is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.randoms())
def test_mean_does_not_depend_on_the_order_of_runs(values: list[float], random: Random) -> None:
    shuffled = random.sample(values, len(values))
    assert mean(shuffled) == mean(values)


@pytest.mark.parametrize(("classes", "limit"), [(2, 0.625), (10, 0.145), (100, 0.01495)])
def test_a_run_at_the_chance_limit_has_collapsed_and_one_above_has_not(classes: int, limit: float) -> None:
    assert chance_limit(classes) == pytest.approx(limit)
    assert is_collapsed(trial("snip", 0.9, 0, limit - 1e-9, classes=classes))
    assert not is_collapsed(trial("snip", 0.9, 0, limit + 1e-9, classes=classes))


def test_collapsed_runs_are_counted_and_not_averaged_with_those_that_trained() -> None:
    (cell,) = panel(trial("snip", 0.99, seed, a) for seed, a in enumerate((0.80, 0.10, 0.84))).cells
    assert cell.mean == pytest.approx(0.82)
    assert (cell.n, len(cell.collapsed), len(cell.completed)) == (2, 1, 3)


def test_where_all_runs_collapsed_there_is_no_mean() -> None:
    (cell,) = panel(trial("snip", 0.99, seed, 0.1) for seed in range(3)).cells
    assert (cell.mean, cell.std, cell.n, len(cell.collapsed)) == (None, None, 0, 3)


def test_trials_without_a_result_are_counted_by_status() -> None:
    lost = [trial("snip", 0.9, i, None, status=s) for i, s in enumerate((FAILED, DIVERGED, DIVERGED, INTERRUPTED))]
    (cell,) = panel([*lost, trial("snip", 0.9, 9, 0.7)]).cells
    assert (cell.failed, cell.diverged, cell.interrupted, cell.n) == (1, 2, 1, 1)
    assert cell.mean == 0.7


def test_accuracy_of_a_trial_that_was_interrupted_after_evaluation_is_not_used() -> None:
    (cell,) = panel([trial("snip", 0.9, 0, 0.5, status=INTERRUPTED), trial("snip", 0.9, 1, 0.7)]).cells
    assert cell.mean == 0.7


def test_mask_facts_average_over_collapsed_runs_too() -> None:
    runs = [trial("snip", 0.99, 0, 0.8, empty_layers=1), trial("snip", 0.99, 1, 0.1, empty_layers=4)]
    (cell,) = panel(runs).cells
    assert cell.average("empty_layers") == 2.5
    assert cell.average("gradient_norm") is None


def test_paired_differences_go_seed_by_seed() -> None:
    ours = [trial("force", 0.9, seed, a) for seed, a in ((0, 0.91), (1, 0.95), (5, 0.99))]
    theirs = [trial("snip", 0.9, seed, a) for seed, a in ((1, 0.90), (0, 0.90), (7, 0.20))]
    snip, force = panel([*ours, *theirs]).cells
    difference = paired(force, snip)
    assert difference.differences == pytest.approx((0.01, 0.05))  # seeds 0 and 1: 5 and 7 have no partner
    assert difference.mean == pytest.approx(0.03)
    assert difference.std == pytest.approx(math.sqrt(2 * 0.02**2))


def test_pairs_in_which_one_collapsed_are_left_out_and_counted() -> None:
    ours = [trial("force", 0.99, seed, 0.9) for seed in (0, 1)]
    theirs = [trial("snip", 0.99, 0, 0.8), trial("snip", 0.99, 1, 0.1)]
    snip, force = panel([*ours, *theirs]).cells
    assert paired(force, snip).differences == pytest.approx((0.1,))
    assert paired(force, snip).left_out == 1


def test_best_is_the_highest_mean_among_methods_of_which_no_run_collapsed_or_diverged() -> None:
    runs = [trial("dense", 0.99, 0, 0.99)]
    runs += [trial("snip", 0.99, 0, 0.95), trial("snip", 0.99, 1, 0.10)]
    runs += [trial("grasp", 0.99, 0, 0.94), trial("grasp", 0.99, 1, None, status=DIVERGED)]
    runs += [trial("force", 0.99, 0, 0.80), trial("iter_snip", 0.99, 0, 0.79)]
    assert [cell.method for cell in best(panel(runs).cells)] == ["force"]


def test_tied_methods_are_all_best() -> None:
    runs = [trial(method, 0.99, seed, 0.8) for method in ("snip", "force") for seed in (0, 1)]
    assert [cell.method for cell in best(panel(runs).cells)] == ["snip", "force"]


def test_cells_come_dense_and_controls_first_and_unknown_methods_last() -> None:
    names = ("my_method", "force", "snip", "random", "dense")
    found = panel(trial(name, 0.9, 0, 0.5) for name in names).cells
    assert [cell.method for cell in found] == ["dense", "random", "snip", "force", "my_method"]


def test_runs_of_one_seed_are_paired_only_if_they_started_from_the_same_weights() -> None:
    ours = [trial("force", 0.9, seed, 0.9, initial_weights_hash=h) for seed, h in enumerate(("a", "b", "c", None))]
    theirs = [trial("snip", 0.9, seed, 0.8, initial_weights_hash=h) for seed, h in enumerate(("a", "x", "c", "d"))]
    snip, force = panel([*ours, *theirs]).cells
    difference = paired(force, snip)
    assert len(difference.differences) == 3  # of seed 3 one record is of before there were hashes
    assert (difference.unlike, difference.left_out) == (1, 0)
