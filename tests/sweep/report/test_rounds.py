from pathlib import Path
from typing import Any

import pytest

from sweep.records import FAILED, RoundRecord, TrialRecord
from sweep.report.figures import style
from sweep.report.figures.rounds import by_round, progressive, rounds_figure

from .conftest import artist, panel, texts, trial


def run(
    method: str, sparsity: float, seed: int, *rounds: tuple[float, int, int, float | None], **facts: Any
) -> TrialRecord:
    """A trial of these rounds: density, revived, lost, FORCE objective."""
    made = tuple(
        RoundRecord(i, density, round(1000 * density), revived, lost, objective)
        for i, (density, revived, lost, objective) in enumerate(rounds, 1)
    )
    return trial(method, sparsity, seed, 0.8, rounds=made, **facts)


FORCE = [
    run("force", 0.99, 0, (0.1, 0, 900, 8.0), (0.01, 5, 95, 4.0)),
    run("force", 0.99, 1, (0.1, 0, 900, 6.0), (0.01, 7, 97, 2.0)),
]


def test_a_line_is_the_mean_over_runs_of_each_round() -> None:
    figure = rounds_figure(panel(FORCE))
    assert figure is not None
    assert artist(figure, "density/force").get_xydata().tolist() == [[1, 0.1], [2, 0.01]]
    assert artist(figure, "force_objective/force").get_xydata().tolist() == [[1, 7], [2, 3]]
    assert artist(figure, "lost/force").get_xydata().tolist() == [[1, 900], [2, 96]]
    assert artist(figure, "revived/force").get_xydata().tolist() == [[1, 0], [2, 6]]
    assert "CIFAR-10, ResNet-20: rounds at 99% sparsity" in texts(figure)


def test_only_methods_of_several_rounds_are_drawn_at_the_highest_sparsity_that_has_one() -> None:
    snip = [run("snip", 0.999, 0, (0.001, 0, 999, None)), run("snip", 0.99, 0, (0.01, 0, 990, None))]
    lower = run("force", 0.9, 0, (0.3, 0, 700, None), (0.1, 0, 200, None))
    found = progressive(panel([*FORCE, *snip, lower]))
    assert [(cell.method, cell.sparsity) for cell in found] == [("force", 0.99)]
    assert rounds_figure(panel(snip)) is None
    assert rounds_figure(panel([trial("force", 0.9, 0, 0.8)])) is None  # a record without rounds


def test_runs_that_did_not_complete_are_left_out() -> None:
    failed = run("force", 0.99, 2, (0.1, 0, 900, 100.0), (0.01, 5, 95, 100.0), status=FAILED)
    (cell,) = progressive(panel([*FORCE, failed]))
    assert by_round(cell, "force_objective") == [(1, 7.0), (2, 3.0)]


def test_what_was_not_measured_is_said_and_a_method_that_revives_nothing_too() -> None:
    figure = rounds_figure(panel([run("synflow", 0.9, 0, (0.5, 0, 500, None), (0.1, 0, 400, None))]))
    assert figure is not None
    assert {"not measured", "none"} <= set(texts(figure))
    assert artist(figure, "force_objective/synflow") is None


def test_controls_are_drawn_only_where_no_method_is() -> None:
    control = run("force", 0.99, 0, (0.1, 0, 900, 8.0), (0.01, 5, 95, 4.0), method_label="force ablation=invert")
    assert [cell.method_label for cell in progressive(panel([*FORCE, control]))] == ["force"]
    assert [cell.method_label for cell in progressive(panel([control]))] == ["force ablation=invert"]


@pytest.mark.parametrize(("other", "scale"), [(8, "linear"), (9, "log")])
def test_the_axis_of_rounds_is_logarithmic_where_methods_differ_much_in_their_number(other: int, scale: str) -> None:
    many = run("synflow", 0.99, 0, *[(0.9**i, 0, 10, None) for i in range(1, other + 1)])
    figure = rounds_figure(panel([*FORCE, many]))
    assert figure is not None
    assert {axes.get_xscale() for axes in figure.axes} == {scale}


def test_rounds_of_many_methods_are_drawn_without_a_warning(tmp_path: Path) -> None:
    runs = [run(f"m{i}", 0.99, 0, *[(0.9**t, i % 2, 0, 0.0) for t in range(1, 3 + 9 * i)]) for i in range(16)]
    figure = rounds_figure(panel(runs))
    assert figure is not None
    assert style.save(figure, tmp_path / "rounds")[0].stat().st_size > 5000
