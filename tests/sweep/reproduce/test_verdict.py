"""Hand-made runs, through the real store, and what is to be said of them."""

from dataclasses import replace

import pytest

from sweep.records import Outcome
from sweep.reproduce.verdict import JudgedRow

from .conftest import Experiment

SNIP = "resnet20,snip,0.99,{value},0.50,3,best over epochs,test set,160,{tolerance},0.8 for the reading,,A paper"
BELOW = "resnet20,snip,below,random,0.99,,,A paper"
ABOVE = "resnet20,force,above,random,0.99,,,A paper"


def verdict(row: JudgedRow) -> tuple[str, str]:
    return row.verdict, row.remark


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([89.0, 90.0, 91.0], "pass"),  # mean 90: off by 1.00, the tolerance itself
        ([87.0, 88.0, 89.0], "pass"),  # off by −1.00
        ([89.0, 90.0, 91.3], "fail"),  # off by 1.10
        ([87.0, 88.0, 88.7], "fail"),  # off by −1.10
    ],
)
def test_a_number_passes_within_its_tolerance_and_fails_outside(
    experiment: Experiment, accuracies: list[float], expected: str
) -> None:
    experiment.numbers(SNIP.format(value=89.00, tolerance=1.00))
    experiment.run({("snip", 0.99): accuracies})
    row = experiment.row()
    assert row.verdict == expected
    assert row.difference == pytest.approx(sum(accuracies) / 3 - 89)
    assert (row.ours.n, row.ours.mean) == (3, pytest.approx(sum(accuracies) / 3))


def test_a_run_at_chance_is_averaged_in_and_named(experiment: Experiment) -> None:
    experiment.numbers(SNIP.format(value=80.00, tolerance=5))
    experiment.run({("snip", 0.99): [80.0, 80.0, 10.0]})
    row = experiment.row()  # (80 + 80 + 10) / 3 = 56.67
    assert row.verdict == "fail"
    assert row.difference == pytest.approx(-23.3333, abs=1e-3)
    assert row.ours.text() == "56.67 ± 40.41 (3), 1 at chance"


@pytest.mark.parametrize(
    ("accuracies", "expected"), [([10.0, 10.3, 9.8], "pass"), ([10.0, 10.0, 20.5], "fail"), ([9.0, 60.0], "fail")]
)
def test_where_theirs_collapsed_every_run_of_ours_has_to(
    experiment: Experiment, accuracies: list[float], expected: str
) -> None:
    experiment.numbers("resnet20,snip,0.99,10.00,,3,best over epochs,test set,160,collapse,,,A paper")
    experiment.run({("snip", 0.99): accuracies})
    assert experiment.row().verdict == expected


def test_a_cell_without_a_completed_run_is_missing_and_says_what_became_of_them(experiment: Experiment) -> None:
    experiment.numbers(SNIP.format(value=80.00, tolerance=5))
    experiment.run({("snip", 0.99): [None]})
    row = experiment.row()
    assert verdict(row) == ("missing", "")
    assert row.ours.text() == "1 diverged, 2 missing"


def test_runs_that_are_still_to_come_are_named_beside_the_mean(experiment: Experiment) -> None:
    experiment.numbers(SNIP.format(value=80.00, tolerance=5))
    experiment.run({("snip", 0.99): [80.0, 82.0]})
    assert experiment.row().ours.text() == "81.00 ± 1.41 (2), 1 missing"


def test_an_empty_store_leaves_every_row_missing(experiment: Experiment) -> None:
    experiment.numbers(SNIP.format(value=80.00, tolerance=5))
    experiment.claims(BELOW)
    [only] = experiment.judge()
    assert only.title == "CIFAR-10, ResNet-20"
    assert [row.verdict for row in only.rows] == ["missing", "missing"]


# Differences and their 95 % t-intervals by hand: t = 4.303 of two degrees of freedom, so ±2.484 s.
CLAIMED = {
    "the whole interval below": ([20.0, 21.0, 22.0], [60.0, 62.0, 64.0], "pass"),  # −40 −41 −42: −41 ± 2.48
    "the whole interval above": ([60.0, 62.0, 64.0], [20.0, 21.0, 22.0], "fail"),  # +41 ± 2.48
    "an interval over zero": ([20.0, 60.0, 30.0], [25.0, 58.0, 40.0], "undecided"),  # −5 +2 −10: −4.3 ± 15
    "no difference": ([60.0, 61.0, 62.0], [60.0, 61.0, 62.0], "undecided"),
    "the same difference everywhere": ([50.0, 61.0, 32.0], [51.0, 62.0, 33.0], "pass"),  # −1 ± 0
}


@pytest.mark.parametrize("case", CLAIMED)
def test_a_claim_is_decided_by_the_side_of_the_whole_interval(experiment: Experiment, case: str) -> None:
    snip, random, expected = CLAIMED[case]
    experiment.claims(BELOW)
    experiment.run({("snip", 0.99): snip, ("random", 0.99): random})
    assert experiment.row().verdict == expected


def test_above_is_the_mirror_of_below(experiment: Experiment) -> None:
    experiment.claims(ABOVE, "resnet20,snip,above,random,0.99,,,A paper")
    low, middle, high = [20.0, 21.0, 22.0], [60.0, 62.0, 64.0], [90.0, 91.0, 92.0]
    experiment.run({("snip", 0.99): low, ("random", 0.99): middle, ("force", 0.99): high})
    [only] = experiment.judge()
    assert [row.verdict for row in only.rows] == ["pass", "fail"]


def test_pairing_by_seed_decides_what_unpaired_runs_would_not(experiment: Experiment) -> None:
    experiment.claims(BELOW)  # seeds differ by 60 points, methods by 2 at every seed: −2, −2.2, −1.8
    experiment.run({("snip", 0.99): [20.0, 50.0, 80.0], ("random", 0.99): [22.0, 52.2, 81.8]})
    row = experiment.row()
    assert row.verdict == "pass"
    assert row.interval is not None
    assert row.interval.low == pytest.approx(-2 - 2.4841 * 0.2, abs=1e-3)
    assert row.interval.high == pytest.approx(-2 + 2.4841 * 0.2, abs=1e-3)


def test_only_seeds_that_both_completed_are_paired(experiment: Experiment) -> None:
    experiment.claims(BELOW)
    experiment.run({("snip", 0.99): [20.0, None, 30.0], ("random", 0.99): [60.0, 99.0, 72.0]})
    assert experiment.row().difference == pytest.approx(-41)  # (−40 −42) / 2


def test_a_collapsed_run_counts_with_the_accuracy_that_it_has(experiment: Experiment) -> None:
    experiment.claims(ABOVE)  # +30, +30 and, with FORCE at chance, −50: without it this would be a pass
    experiment.run({("force", 0.99): [90.0, 90.0, 10.0], ("random", 0.99): [60.0, 60.0, 60.0]})
    row = experiment.row()
    assert row.verdict == "undecided"
    assert row.difference == pytest.approx(10 / 3)
    assert row.ours.text().endswith(", 1 at chance")


def test_one_seed_decides_nothing(experiment: Experiment) -> None:
    experiment.claims(BELOW)
    experiment.run({("snip", 0.99): [20.0], ("random", 0.99): [90.0, 90.0, 90.0]})
    assert verdict(experiment.row()) == ("undecided", "fewer than two seeds in common")


def test_seeds_that_started_from_other_weights_are_no_pair_and_the_verdict_says_so(experiment: Experiment) -> None:
    experiment.claims(BELOW)
    experiment.run({("snip", 0.99): [20.0, 20.0, 20.5], ("random", 0.99): [90.0, 91.0]}, initial_weights_hash="a")
    experiment.run({("random", 0.99): [90.0, 91.0, 1.0]}, initial_weights_hash="a")
    assert verdict(experiment.row()) == ("undecided", "")  # −70, −71 and +19.5
    record = experiment.store.trial(next(t for t in experiment.store.trials()["trial_id"].to_pylist()
                                         if (r := experiment.store.trial(t)).method == "random" and r.seed == 2))  # fmt: skip
    assert record is not None
    experiment.store.files.delete(*(old.name for old in experiment.store.loose("trials", {record.trial_id})))
    experiment.store.write(Outcome(replace(record, initial_weights_hash="b")))
    assert verdict(experiment.row()) == ("pass", "seeds of other initial weights left out: 1")


def test_two_methods_at_chance_decide_nothing_however_they_differ(experiment: Experiment) -> None:
    experiment.claims(BELOW)
    experiment.run({("snip", 0.99): [10.0, 10.0, 10.0], ("random", 0.99): [11.0, 11.1, 11.2]})
    assert verdict(experiment.row()) == ("undecided", "both at chance")


def test_a_claim_without_its_reference_is_missing(experiment: Experiment) -> None:
    experiment.claims(BELOW)
    experiment.run({("snip", 0.99): [20.0, 20.0, 20.0]})
    assert experiment.row().verdict == "missing"


KNOWN = {"fail": True, "undecided": False, "pass": True}


@pytest.mark.parametrize(("outcome_", "in_order"), KNOWN.items())
def test_a_known_failure_is_in_order_but_neither_known_nor_silent_when_it_is_something_else(
    experiment: Experiment, outcome_: str, in_order: bool
) -> None:
    experiment.write_yaml(data="digits")
    experiment.claims("resnet20,snip,below,random,0.99,fail,digits: not the paper's data,A paper")
    snip = {"fail": [90.0, 91.0, 92.0], "undecided": [10.0, 90.0, 50.0], "pass": [20.0, 20.1, 20.2]}[outcome_]
    experiment.run({("snip", 0.99): snip, ("random", 0.99): [50.0, 50.0, 50.0]})
    row = experiment.row()
    assert (row.verdict, row.in_order) == (outcome_, in_order)
    assert row.known == ("digits: not the paper's data" if outcome_ == "fail" else "")


def test_a_failure_that_is_not_known_is_not_in_order(experiment: Experiment) -> None:
    experiment.claims(BELOW)
    experiment.run({("snip", 0.99): [90.0, 91.0, 92.0], ("random", 0.99): [50.0, 50.0, 50.0]})
    row = experiment.row()
    assert (row.verdict, row.in_order, row.known) == ("fail", False, "")


def test_a_jpeg_copy_is_called_so_and_judged_apart_from_exact_images(experiment: Experiment) -> None:
    experiment.numbers(SNIP.format(value=80.00, tolerance=5))
    experiment.run({("snip", 0.99): [80.0]}, data_encoding="JPEG")
    assert [verdict.title for verdict in experiment.judge()] == ["CIFAR-10 (JPEG), ResNet-20"]
    experiment.run({("snip", 0.99): [None, 60.0, 60.0]}, data_encoding="exact")  # seed 0 is replaced
    experiment.run({("snip", 0.99): [80.0]}, data_encoding="JPEG")
    both = {verdict.title: verdict.rows[0].verdict for verdict in experiment.judge()}
    assert both == {"CIFAR-10 (JPEG), ResNet-20": "pass", "CIFAR-10, ResNet-20": "fail"}


def test_only_trials_of_exactly_this_grid_are_judged_whoever_ran_them(experiment: Experiment) -> None:
    experiment.numbers(SNIP.format(value=80.00, tolerance=1))
    experiment.run({("snip", 0.99): [20.0, 20.0, 20.0]}, settings=["training.epochs=6"])  # another recipe
    assert experiment.row().verdict == "missing"
    experiment.run({("snip", 0.99): [80.0, 80.0, 80.0]}, sweep="somebody else's")
    row = experiment.row()
    assert (row.verdict, row.ours.n) == ("pass", 3)
