"""Published points over our figure."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from sweep.report.figures import palette
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.figures.published_points import PublishedPoint
from sweep.report.trials import Panel

from .conftest import Experiment


def artist(figure: Figure, gid: str) -> Any:
    [found] = figure.findobj(lambda a: a.get_gid() == gid)
    return found


@pytest.fixture
def panel(experiment: Experiment) -> Panel:
    """SNIP and random at 99 % alone, well above chance."""
    experiment.claims("resnet20,snip,below,random,0.99,,,A paper")
    experiment.run({("dense", 0.0): [95.0], ("snip", 0.99): [80.0, 82.0], ("random", 0.99): [70.0]})
    [verdict] = experiment.judge()
    assert verdict.panel is not None
    return verdict.panel


def test_published_points_are_hollow_and_in_the_methods_colour_at_their_accuracies(panel: Panel) -> None:
    figure = accuracy_figure(
        panel,
        [
            PublishedPoint("snip", 0.99, 85.0, 1.5),
            PublishedPoint("snip", 0.9, 92.0),
            PublishedPoint("random", 0.99, 60.0),
        ],
    )
    theirs = artist(figure, "published/snip")
    assert list(theirs.get_ydata()) == [85, 92]
    assert (theirs.get_markerfacecolor(), theirs.get_markeredgecolor()) == ("none", palette.colour("snip"))
    assert list(artist(figure, "published/random").get_ydata()) == [60]


def test_they_stand_where_our_line_of_the_method_is(panel: Panel) -> None:
    figure = accuracy_figure(panel, [PublishedPoint("snip", 0.99, 85.0)])
    assert artist(figure, "published/snip").get_xdata()[0] == artist(figure, "mean/snip").get_xdata()[0]


def test_error_bars_reach_one_standard_deviation_and_fit_in(panel: Panel) -> None:
    figure = accuracy_figure(panel, [PublishedPoint("snip", 0.99, 50.0, 12.0)])
    [bars] = figure.axes[0].containers[0].lines[2]  # type: ignore[attr-defined]
    assert bars.get_segments()[0][:, 1].tolist() == [38, 62]
    low, high = figure.axes[0].get_ylim()
    assert low < 38
    assert high > 82


def test_a_sparsity_that_was_published_and_not_run_is_on_the_axis(panel: Panel) -> None:
    axes = accuracy_figure(panel, [PublishedPoint("snip", 0.999, 40.0)]).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["99%", "99.9%"]


def test_a_published_collapse_draws_the_line_at_chance_that_ours_alone_would_not_need(panel: Panel) -> None:
    def chance(figure: Figure) -> list[Any]:
        return figure.findobj(lambda a: a.get_gid() == "chance")

    assert not chance(accuracy_figure(panel))
    assert chance(accuracy_figure(panel, [PublishedPoint("random", 0.99, 10.0)]))


def test_those_of_dense_networks_stand_at_the_left_edge(panel: Panel) -> None:
    figure = accuracy_figure(panel, [PublishedPoint("dense", 0.0, 93.5, 0.1), PublishedPoint("dense", 0.0, 93.6, 0.1)])
    points = artist(figure, "published/dense")
    figure.draw_without_rendering()
    places = figure.axes[0].transAxes.inverted().transform(points.get_transform().transform(points.get_xydata()))
    assert np.all((places[:, 0] > 0) & (places[:, 0] < 0.1))


def test_the_legend_says_published_where_there_is_something_published(panel: Panel) -> None:
    def names(figure: Figure) -> list[str]:
        return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]

    assert names(accuracy_figure(panel))[-1] != "published"
    assert names(accuracy_figure(panel, [PublishedPoint("snip", 0.99, 85.0)]))[-1] == "published"
