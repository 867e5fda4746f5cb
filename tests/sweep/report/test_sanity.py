import pathlib

import pytest
from matplotlib.colors import to_hex
from matplotlib.path import Path

from sweep.records import TrialRecord
from sweep.report.figures import palette, style
from sweep.report.figures.sanity import sanity_figure

from .conftest import artist, panel, places, texts, trial


def runs(method: str, control: str, *accuracies: float) -> list[TrialRecord]:
    label = method + (f" ablation={control}" if control else "")
    return [trial(method, s, seed, a, method_label=label) for seed, a in enumerate(accuracies) for s in (0.9, 0.99)]


def test_each_method_with_controls_has_a_plot_of_its_own_with_them_in_it() -> None:
    found = [*runs("snip", "", 0.8), *runs("snip", "invert", 0.3), *runs("force", "", 0.9)]
    found += [*runs("grasp", "", 0.7), *runs("grasp", "shuffle_layerwise", 0.72)]
    figure = sanity_figure(panel(found))
    assert figure is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["SNIP", "GraSP"]  # FORCE has no control
    in_first = {line.get_gid() for line in figure.axes[0].get_lines()}
    assert in_first == {"mean/snip", "mean/snip ablation=invert"}
    assert [t.get_text() for t in figure.legends[0].get_texts()][1:] == ["shuffled within layers", "inverted"]


def test_the_method_has_its_colour_and_runs_at_chance_are_crosses() -> None:
    figure = sanity_figure(panel([*runs("snip", "", 0.8, 0.9), *runs("snip", "invert", 0.3, 0.1)]))
    assert figure is not None
    assert to_hex(artist(figure, "mean/snip").get_color()) == palette.colour("snip")
    assert list(artist(figure, "mean/snip").get_ydata()) == pytest.approx([85, 85])
    assert [y for _, y in places(figure, "runs/snip ablation=invert")] == [30, 30]
    assert [y for _, y in places(figure, "collapsed/snip ablation=invert")] == [10, 10]
    (cross,) = artist(figure, "collapsed/snip ablation=invert").get_paths()
    assert list(cross.codes) == [Path.MOVETO, Path.LINETO] * 2  # two strokes


def test_without_controls_there_is_no_figure() -> None:
    assert sanity_figure(panel(runs("snip", "", 0.8))) is None


def test_sanity_checks_of_many_methods_are_drawn_without_a_warning(tmp_path: pathlib.Path) -> None:
    controls = ("", "shuffle_layerwise", "reinitialize", "invert", "unheard_of")
    names = ["force rounds=300", *(f"m{i}" for i in range(4))]
    found = [run for name in names for control in controls for run in runs(name, control, 0.5, 0.1)]
    figure = sanity_figure(panel(found))
    assert figure is not None
    assert style.save(figure, tmp_path / "sanity")[0].stat().st_size > 5000
    assert "FORCE, rounds=300" in texts(figure)
