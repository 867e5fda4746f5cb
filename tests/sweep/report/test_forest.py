import math

import pytest
from scipy import stats

from sweep.report import ReportOptions
from sweep.report.figures.forest import differences, forest_figure

from .conftest import artist, panel, texts, trial

HEIGHTS = {
    "random": (0.80, 0.82, 0.81),
    "erk": (0.85, 0.84, 0.86),
    "snip": (0.90, 0.93, 0.90),
    "force": (0.92, 0.92, 0.95),
}
FOUND = panel(trial(m, 0.99, seed, a) for m, runs in HEIGHTS.items() for seed, a in enumerate(runs))


def test_a_row_is_the_mean_difference_and_its_t_interval_in_points() -> None:
    figure = forest_figure(FOUND, 0.99)
    assert figure is not None
    gaps = [100 * (a - b) for a, b in zip(HEIGHTS["snip"], HEIGHTS["random"], strict=True)]
    mean, error = sum(gaps) / 3, stats.sem(gaps)
    assert list(artist(figure, "difference/random/snip").get_xdata()) == pytest.approx([mean])
    expected = stats.t.interval(0.95, 2, mean, error)
    assert list(artist(figure, "interval/random/snip").get_xdata()) == pytest.approx(expected)
    assert {"Minus Random", "Minus ERK", "SNIP (3)", "FORCE (3)"} <= set(texts(figure))
    assert math.isclose(artist(figure, "difference/erk/random").get_xdata()[0], -4)


def test_rows_are_ordered_by_mean_and_a_baseline_needs_no_selection() -> None:
    assert [one.method_a for one in differences(FOUND, "random", 0.99)] == ["force", "snip", "erk"]
    chosen = ReportOptions(methods=("snip",))
    assert [one.method_a for one in differences(FOUND, "random", 0.99, chosen)] == ["snip"]


def test_no_figure_without_two_pairs_at_which_both_trained() -> None:
    assert forest_figure(panel(trial(m, 0.99, 0, 0.9) for m in ("random", "snip")), 0.99) is None
    assert forest_figure(panel(trial(m, 0.99, seed, 0.1) for m in ("random", "snip") for seed in (0, 1)), 0.99) is None
    assert forest_figure(panel(trial("snip", 0.99, seed, 0.9) for seed in (0, 1)), 0.99) is None
