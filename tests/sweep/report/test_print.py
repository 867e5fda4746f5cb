"""Figures at the width of a column: type, files, legend and lens."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from sweep.errors import InputError
from sweep.report import Panel, ReportOptions, from_table
from sweep.report.figures import style
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.figures.cost import cost_figure
from sweep.report.figures.layers import layers_figure
from sweep.report.figures.lens import crowded
from sweep.report.options import read_width
from sweep.store import Store

from .conftest import artist, panel, trial

pytestmark = pytest.mark.slow

COLUMN = ReportOptions(width_inches=3.3)
TOGETHER = {"random": 0.91, "snip": 0.92, "grasp": 0.925, "force": 0.93}


def crossing() -> Panel:
    """Four methods together up to 98 %; at 99.9 % all but FORCE have fallen far."""
    high = [trial(m, s, seed, a + seed / 500) for m, a in TOGETHER.items() for s in (0.9, 0.98) for seed in (0, 1)]
    return panel(
        [*high, *(trial(m, 0.999, 0, 0.2 if m != "force" else 0.9, training_flops_share=0.1) for m in TOGETHER)]
    )


@pytest.fixture
def figures(sweep_store: Store) -> list[Figure]:
    found = panel(from_table(sweep_store.trials()))
    drawn = [
        accuracy_figure(crossing(), options=COLUMN),
        cost_figure(crossing(), COLUMN),
        layers_figure(found, sweep_store.masks(), 0.99, COLUMN),
    ]
    return [figure for figure in drawn if figure is not None]


def test_lengths_are_read_in_the_units_of_papers() -> None:
    assert read_width("3.3in") == 3.3
    assert read_width("8.4 cm") == pytest.approx(3.307, abs=1e-3)
    assert read_width("84mm") == read_width("8.4cm")
    assert read_width("240pt") == pytest.approx(240 / 72.27)
    for text in ("3.3", "wide", "3.3px", "1cm", "900mm"):
        with pytest.raises(InputError, match=f"--width: .*{text}"):
            read_width(text)


def test_type_is_of_seven_to_eight_points_at_the_width_that_is_asked_for(figures: list[Figure]) -> None:
    assert len(figures) == 3
    for figure in figures:
        assert figure.get_figwidth() == 3.3
        sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()}
        assert min(sizes) >= 7 and max(sizes) <= 8


def test_no_text_leaves_the_page(figures: list[Figure]) -> None:
    for figure in figures:
        FigureCanvasAgg(figure).draw()
        for text in figure.findobj(Text):
            if text.get_text().strip() and text.get_visible():
                box = text.get_window_extent()
                assert box.x0 > -1 and box.x1 < figure.bbox.x1 + 1, text.get_text()


def test_text_is_text_in_svg_and_pdf_and_the_pdf_is_as_wide_as_asked(tmp_path: Path) -> None:
    png, svg, pdf = style.save(accuracy_figure(crossing(), options=COLUMN), tmp_path / "figure")
    assert png.stat().st_size > 5000
    assert re.search(r"<text [^>]*>FORCE</text>", svg.read_text())
    written = pdf.read_bytes()
    assert b"/Type3" not in written  # which some publishers refuse
    assert b"/FontFile2" in written  # TrueType
    assert set(re.findall(rb"\+(DejaVu[\w-]*)", written)) == {b"DejaVuSans", b"DejaVuSans-Bold"}
    (width,) = set(re.findall(rb"/MediaBox \[ 0 0 ([\d.]+)", written))
    assert float(width) == pytest.approx(72 * 3.3, abs=0.01)


def test_bands_stop_at_a_hundred_percent() -> None:
    runs = [trial("force", s, seed, a) for s in (0.9, 0.99) for seed, a in enumerate((0.90, 1.0))]
    (band,) = artist(accuracy_figure(panel(runs)), "std/force").get_paths()
    assert band.vertices[:, 1].max() == 100
    assert band.vertices[:, 1].min() == pytest.approx(95 - 100 * 0.1 / np.sqrt(2))


def test_a_legend_covers_no_line_and_stands_above_where_there_is_no_room() -> None:
    figure = accuracy_figure(crossing(), options=COLUMN)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    legend = axes.get_legend()
    assert legend is not None
    box = legend.get_window_extent()
    for method in TOGETHER:
        line = artist(figure, f"mean/{method}")
        assert not any(box.contains(*place) for place in axes.transData.transform(line.get_xydata()))


def test_a_lens_shows_the_sparsities_at_which_curves_lie_on_one_another() -> None:
    found = crossing()
    region = crowded(found.cells, 5, 100)
    assert region is not None
    assert region.sparsities == (0.9, 0.98)
    assert region.bottom < 91 and 93.2 < region.top < 95
    figure = accuracy_figure(found)
    assert list(artist(figure, "lens/mean/force").get_ydata()) == list(artist(figure, "mean/force").get_ydata())
    apart = [trial(m, s, 0, 0.2 + i / 5) for i, m in enumerate(TOGETHER) for s in (0.9, 0.98)]
    assert crowded(panel(apart).cells, 5, 100) is None
    assert artist(accuracy_figure(panel(apart)), "lens/mean/force") is None
