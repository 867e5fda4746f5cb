import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from sweep.records import TrialRecord
from sweep.report.figures import style
from sweep.report.figures.cost import cost_figure
from sweep.report.figures.cost_parts import ticks
from sweep.report.figures.label_placement import Box

from .conftest import artist, panel, places, texts, trial


def priced(method: str, sparsity: float, seed: int, accuracy: float, share: float | None, **facts: Any) -> TrialRecord:
    return trial(method, sparsity, seed, accuracy, training_flops_share=share, **facts)


def means(figure: Figure, label: str) -> list[tuple[float, float]]:
    """Where the marks of a method's means are, sorted."""
    points = artist(figure, f"mean/{label}").get_xydata().tolist()
    return sorted((round(x, 6), round(y, 6)) for x, y in points if not math.isnan(y))


@pytest.fixture
def figure() -> Figure:
    """FORCE at 0.3 and 0.02 of the dense price, SNIP at chance once at 90 % and always at 99 %, IMP at six times."""
    runs = [priced("dense", 0.0, seed, 0.95, 1.0) for seed in (0, 1)]
    runs += [priced("force", 0.99, 0, 0.80, 0.02), priced("force", 0.99, 1, 0.84, 0.04)]
    runs += [priced("force", 0.9, 0, 0.90, 0.3), priced("force", 0.9, 1, 0.92, 0.3)]
    runs += [priced("snip", 0.9, 0, 0.9, 0.2), priced("snip", 0.9, 1, 0.1, 0.4)]
    runs += [priced("snip", 0.99, 0, 0.1, 0.03), priced("snip", 0.99, 1, 0.12, 0.03)]
    runs += [priced("imp", 0.9, 0, 0.94, 6.0, epochs=30)]
    found = cost_figure(panel(runs))
    assert found is not None
    return found


def test_a_mark_is_the_mean_price_and_accuracy_of_the_runs_that_trained(figure: Figure) -> None:
    assert means(figure, "force") == [(0.03, 82), (0.3, 91)]
    assert means(figure, "snip") == [(0.2, 90)]
    assert means(figure, "imp") == [(6, 94)]


def test_every_run_is_a_point_at_its_own_price_and_one_at_chance_a_cross(figure: Figure) -> None:
    assert places(figure, "runs/force") == [(0.02, 80), (0.04, 84), (0.3, 90), (0.3, 92)]
    assert places(figure, "runs/snip") == [(0.2, 90)]
    assert places(figure, "collapsed/snip") == [(0.03, 10), (0.03, 12), (0.4, 10)]
    assert artist(figure, "collapsed/force") is None


def test_a_method_is_joined_in_order_of_sparsity_and_its_line_breaks_where_no_run_trained(figure: Figure) -> None:
    assert artist(figure, "mean/force").get_xydata().tolist() == [[0.3, 91], [0.03, 82]]
    (_, first), (x, second) = artist(figure, "mean/snip").get_xydata().tolist()
    assert (first, x) == (90, 0.03)
    assert math.isnan(second)


def test_a_bar_is_one_sample_std_to_either_side(figure: Figure) -> None:
    bars = [segment.tolist() for segment in artist(figure, "std/force").get_segments()]
    assert bars[0] == [[0.3, pytest.approx(91 - math.sqrt(2))], [0.3, pytest.approx(91 + math.sqrt(2))]]
    assert artist(figure, "std/imp") is None


def test_the_dense_network_is_a_level_line_and_points_at_once_its_own_price(figure: Figure) -> None:
    assert places(figure, "runs/dense") == [(1, 95), (1, 95)]
    assert list(artist(figure, "mean/dense").get_ydata()) == [95, 95]


def test_the_axis_of_prices_is_logarithmic_and_holds_the_cheapest_and_the_dearest_run(figure: Figure) -> None:
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    assert axes.get_xscale() == "log"
    assert low < 0.02
    assert high > 6
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert shown == ["0.02×", "0.05×", "0.1×", "0.2×", "0.5×", "1×", "2×", "5×"]


def test_where_every_run_is_cheap_the_dense_networks_price_is_still_on_the_axis() -> None:
    figure = cost_figure(panel([priced("force", 0.9, 0, 0.9, 0.02)]))
    assert figure is not None
    low, high = figure.axes[0].get_xlim()
    assert low < 0.02 < 1 < high


def test_marks_carry_their_sparsity(figure: Figure) -> None:
    assert {"90%", "99%"} <= set(texts(figure))
    assert artist(figure, "sparsity/imp").get_text() == "90%"


def test_no_label_hides_a_lone_mark_beside_its_own() -> None:
    shares = [0.1 * 1.03**i for i in range(40)]  # marks in a row, each half over the next
    figure = cost_figure(panel(priced(f"m{i}", 0.9, 0, 0.8, share) for i, share in enumerate(shares)))
    assert figure is not None
    figure.draw_without_rendering()
    boxes = [Box(*t.get_window_extent().extents) for t in figure.axes[0].texts if t.get_text() == "90%"]
    marks = [tuple(figure.axes[0].transData.transform((share, 80))) for share in shares]
    assert len(boxes) >= 4
    assert not any(box.left < x < box.right and box.bottom < y < box.top for box in boxes for x, y in marks)


def test_no_label_is_written_over_a_bar() -> None:
    figure = cost_figure(panel(priced("force", 0.9, seed, a, 0.1) for seed, a in enumerate((0.2, 0.5, 0.9))))
    assert figure is not None
    figure.draw_without_rendering()
    (label,) = (Box(*t.get_window_extent().extents) for t in figure.axes[0].texts if t.get_text() == "90%")
    x, _ = figure.axes[0].transData.transform((0.1, 50))
    assert not label.left < x < label.right


def test_where_there_is_little_room_the_ends_of_a_line_are_labelled_before_its_middle() -> None:
    runs = [priced("snip", s, 0, 0.8, share) for s, share in ((0.9, 0.9), (0.95, 0.3), (0.99, 0.1))]
    runs += [priced(f"m{i}", 0.98, 0, 0.8, 0.3) for i in range(4)]  # all where the middle of the line is
    figure = cost_figure(panel(runs))
    assert figure is not None
    assert {"90%", "98%", "99%"} <= set(texts(figure))
    assert "95%" not in texts(figure)


def test_over_many_decades_only_powers_of_ten_are_ticks() -> None:
    assert ticks(0.09, 2.1) == pytest.approx([0.1, 0.2, 0.5, 1, 2])
    assert ticks(0.0008, 6) == pytest.approx([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5])
    assert ticks(1e-6, 6) == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1])


def test_runs_without_the_number_are_left_out_and_where_none_has_it_there_is_no_figure() -> None:
    old = [trial("force", 0.9, 0, 0.9), trial("dense", 0.0, 0, 0.95)]
    assert cost_figure(panel(old)) is None
    assert cost_figure(panel([*old, priced("dense", 0.0, 1, 0.95, 1.0)])) is None
    assert cost_figure(panel([*old, priced("force", 0.9, 1, 0.9, 0.0)])) is None  # no place on a log axis
    mixed = cost_figure(panel([*old, priced("force", 0.9, 1, 0.8, 0.5)]))
    assert mixed is not None
    assert means(mixed, "force") == [(0.5, 80)]
    assert places(mixed, "runs/dense") == [(1, 95)]


@pytest.mark.parametrize(("methods", "sparsities"), [(1, (0.9, 0.95, 0.99)), (16, (0.9, 0.95, 0.99)), (16, (0.9,))])
def test_labels_of_sparsities_hide_no_mark_and_no_other_label(
    methods: int, sparsities: tuple[float, ...], tmp_path: Path
) -> None:
    runs = [
        priced(f"m{i}", s, seed, 0.5 + 0.01 * i + 0.1 * (1 - s), (1 - s) * (1 + i / 8))
        for i in range(methods) for s in sparsities for seed in (0, 1)
    ]  # fmt: skip
    figure = cost_figure(panel(runs))
    assert figure is not None
    style.save(figure, tmp_path / "price")
    figure.set_dpi(100)
    figure.draw_without_rendering()
    written = [t for t in figure.axes[0].texts if (t.get_gid() or "").startswith("sparsity/")]
    assert len(written) >= 3
    boxes = [Box(*text.get_window_extent().extents) for text in written]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    to_page = figure.axes[0].transData.transform
    marks = [tuple(to_page(place)) for i in range(methods) for place in means(figure, f"m{i}")]
    assert not any(box.left < x < box.right and box.bottom < y < box.top for box in boxes for x, y in marks)


@pytest.mark.parametrize(
    "trials",
    [
        [priced("force", 0.9, 0, 0.9, 1.0)],
        [priced("snip", 0.99, seed, 0.1, 0.01) for seed in range(3)],
        [priced("force", 0.9, 0, 0.9, 1e-7, classes=None), priced("imp", 0.9, 0, 0.9, 900.0)],
    ],
    ids=["one run at 1×", "all collapsed", "ten decades"],
)
def test_odd_sweeps_are_priced_without_a_warning(trials: list[TrialRecord], tmp_path: Path) -> None:
    figure = cost_figure(panel(trials))
    assert figure is not None
    assert style.save(figure, tmp_path / "odd")[0].stat().st_size > 5000
