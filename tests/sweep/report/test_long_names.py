"""Options and networks of hundreds of characters: figures stay figures, and the whole name stands beside them."""

from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sweep.records import RoundRecord
from sweep.report import write_report
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.figures.cost import cost_figure
from sweep.report.figures.rounds import rounds_figure
from sweep.report.figures.sanity import sanity_figure
from sweep.report.names import figure_name, method_name

from .conftest import MakeStore, panel, texts, trial

LONG = "x" * 400
LABELS = (f"my_lab.methods:score note={LONG}a", f"my_lab.methods:score note={LONG}b")
ROUNDS = tuple(RoundRecord(n, 0.5**n, 1000 // n, 0, 10, 1.0) for n in (1, 2))


def runs() -> list:
    shared = {"training_flops_share": 0.5, "architecture_label": f"my_lab.nets:net note={LONG}", "rounds": ROUNDS}
    labels = [*LABELS, f"{LABELS[0]} ablation=invert"]
    return [
        trial("my_lab.methods:score", 0.9, seed, 0.8, method_label=name, **shared) for name in labels for seed in (0, 1)
    ]


def share_of_axes(figure: Figure) -> float:
    """Of the width of a figure, taken by all of its axes together."""
    FigureCanvasAgg(figure).draw()
    boxes = [axes.get_position() for axes in figure.axes if axes.get_visible()]
    return max(box.x1 for box in boxes) - min(box.x0 for box in boxes)


@pytest.mark.parametrize("draw", [accuracy_figure, cost_figure, sanity_figure, rounds_figure])
def test_an_option_of_400_characters_leaves_a_figure_its_room(draw) -> None:
    figure = draw(panel(runs()))
    assert share_of_axes(figure) > 0.4
    height = [axes.get_position().height for axes in figure.axes if axes.get_visible()]
    assert min(height) > 0.2
    assert not [text for text in texts(figure) if LONG in text]


@pytest.mark.slow
def test_names_that_are_cut_are_told_apart_and_stand_in_full_in_the_summary(store: MakeStore, tmp_path: Path) -> None:
    shown = [figure_name(label) for label in LABELS]
    assert len(set(shown)) == 2 and all(len(name) <= 44 for name in shown)
    assert figure_name(f"{LABELS[0]} ablation=invert") == f"{shown[0]}, inverted"
    files = write_report([store("a", runs())], tmp_path / "out")
    lines = files.summary.read_text().splitlines()
    for name, label in zip(shown, LABELS, strict=True):
        assert f"- {name}: {method_name(label)}" in lines
    assert LABELS[1] in files.summary_csv.read_text()


def test_names_of_usual_length_are_whole(store: MakeStore, tmp_path: Path) -> None:
    assert figure_name("force rounds=300 scope=uniform_plus") == method_name("force rounds=300 scope=uniform_plus")
    files = write_report([store("a", [trial("force", 0.9, 0, 0.8, method_label="force rounds=300")])], tmp_path / "out")
    assert "Names that the figures cut" not in files.summary.read_text()
