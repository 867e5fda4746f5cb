import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend

import pruning
from sweep.records import FAILED
from sweep.report import from_table
from sweep.report.figures import palette, style
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.figures.layers import layers_figure
from sweep.report.figures.sparsity_axis import SparsityAxis
from sweep.report.figures.stored_masks import layer_densities
from sweep.report.trials import Panel
from sweep.store import Store

from .conftest import MakeStore, artist, mask, panel, places, texts, trial


def heights(figure: Figure, gid: str) -> list[float]:
    return sorted(y for _, y in places(figure, gid))


def legend_of(figure: Figure) -> Legend:
    legend = figure.axes[0].get_legend()
    assert legend is not None
    return legend


@pytest.fixture
def sweep_panel(sweep_store: Store) -> Panel:
    return panel(from_table(sweep_store.trials()))


def test_every_completed_run_is_one_point_at_its_accuracy_in_percent(sweep_panel: Panel) -> None:
    figure = accuracy_figure(sweep_panel)
    assert heights(figure, "runs/dense") == [95, 96]
    assert heights(figure, "runs/random") == [60, 80, 82]
    assert heights(figure, "runs/snip") == [90, 91]
    assert heights(figure, "runs/force") == [85, 87, 90, 92]


def test_collapsed_runs_are_crosses_and_no_others_are(sweep_panel: Panel) -> None:
    figure = accuracy_figure(sweep_panel)
    assert heights(figure, "collapsed/snip") == [10, 10]
    assert heights(figure, "collapsed/random") == [10]
    assert artist(figure, "collapsed/force") is None
    assert "1 of 2" in texts(figure)  # random at 99 %; snip there is all at chance and needs no count


def test_the_line_runs_through_means_of_trained_runs_and_breaks_where_there_is_none(sweep_panel: Panel) -> None:
    figure = accuracy_figure(sweep_panel)
    assert list(artist(figure, "mean/random").get_ydata()) == pytest.approx([81, 60])
    snip = list(artist(figure, "mean/snip").get_ydata())
    assert snip[0] == pytest.approx(90.5)
    assert math.isnan(snip[1])


def test_the_band_is_one_sample_std_to_either_side(store: MakeStore) -> None:
    runs = [trial("force", s, seed, a) for s in (0.9, 0.99) for seed, a in enumerate((0.80, 0.82))]
    (band,) = artist(accuracy_figure(panel(runs)), "std/force").get_paths()
    edges = sorted(set(band.vertices[:, 1].round(6)))
    assert edges == pytest.approx([81 - math.sqrt(2), 81 + math.sqrt(2)], abs=1e-5)


def test_sparsity_rises_to_the_right_on_a_log_axis_of_density_with_a_tick_a_sparsity(sweep_panel: Panel) -> None:
    axes = accuracy_figure(sweep_panel).axes[0]
    left, right = axes.get_xlim()
    assert left > 0.1 > 0.01 > right
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["90%", "99%"]
    assert axes.get_xticks().tolist() == pytest.approx([0.1, 0.01])


def test_tick_labels_that_would_overlap_are_left_out_and_the_ticks_stay() -> None:
    labelled = SparsityAxis((0.5, 0.989, 0.99, 0.999)).labelled()
    assert labelled == [0.999, 0.99, 0.5]


def test_lines_and_means_stand_at_the_true_density_and_runs_at_most_a_few_points_beside_it(sweep_panel: Panel) -> None:
    figure = accuracy_figure(sweep_panel)
    FigureCanvasAgg(figure).draw()
    data, points = figure.axes[0].transData, 72 / figure.dpi
    beside = []
    for method in ("random", "snip", "force"):
        assert list(artist(figure, f"mean/{method}").get_xdata()) == pytest.approx([0.1, 0.01])
        runs = artist(figure, f"runs/{method}")
        assert {round(float(x), 6) for x in runs.get_offsets()[:, 0]} <= {0.1, 0.01}
        drawn, true = (transform.transform(runs.get_offsets()) for transform in (runs.get_offset_transform(), data))
        beside.append(float((drawn - true)[0, 0] * points))
    assert beside == pytest.approx([-3, 0, 3])


def test_chance_is_a_line_where_a_run_is_near_it_and_else_a_remark_so_that_runs_fill_the_figure(
    sweep_panel: Panel,
) -> None:
    assert list(artist(accuracy_figure(sweep_panel), "chance").get_ydata()) == [10, 10]
    high = accuracy_figure(panel([trial("force", 0.9, seed, 0.9 + seed / 100) for seed in (0, 1)]))
    assert artist(high, "chance") is None
    assert any(text.endswith("; chance, 10%, is below the axis") for text in texts(high))


def test_a_jpeg_copy_is_named_in_the_title() -> None:
    figure = accuracy_figure(panel([trial("force", 0.9, 0, 0.9, data_encoding="JPEG")]))
    assert "CIFAR-10 (JPEG), ResNet-20" in texts(figure)


def test_the_legend_names_every_method_once_and_the_dense_accuracy(sweep_panel: Panel) -> None:
    legend = legend_of(accuracy_figure(sweep_panel))
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["Dense 95.50 ± 0.71 (2)", "Random", "SNIP", "FORCE", "at chance"]


def test_variants_of_a_method_share_its_colour_and_differ_in_dash() -> None:
    runs = [trial("force", 0.9, 0, 0.9), trial("force", 0.9, 0, 0.91, method_label="force rounds=300")]
    figure = accuracy_figure(panel(runs))
    one, two = artist(figure, "mean/force"), artist(figure, "mean/force rounds=300")
    assert one.get_color() == two.get_color() == palette.colour("force")
    assert one.get_linestyle() != two.get_linestyle()


def test_the_legend_shows_the_dash_of_every_variant() -> None:
    controls = ("", " ablation=shuffle_layerwise", " ablation=reinitialize", " ablation=invert")
    runs = [trial("force", 0.9, 0, 0.9, method_label=f"force{control}") for control in controls]
    figure = accuracy_figure(panel(runs))
    shown = [line._unscaled_dash_pattern for line in legend_of(figure).get_lines()]  # type: ignore[attr-defined]
    assert shown == [artist(figure, f"mean/force{control}")._unscaled_dash_pattern for control in controls]
    assert len({str(dash) for dash in shown}) == 4


def test_runs_of_a_control_are_hollow_and_those_of_its_method_are_not() -> None:
    runs = [trial("snip", 0.9, 0, 0.9), trial("snip", 0.9, 0, 0.8, method_label="snip ablation=invert")]
    figure = accuracy_figure(panel(runs))
    faces = [artist(figure, f"runs/snip{c}").get_facecolor()[0].tolist() for c in ("", " ablation=invert")]
    assert faces == [list(matplotlib.colors.to_rgba(c)) for c in (palette.colour("snip"), "white")]


@pytest.mark.parametrize(("methods", "shown"), [(8, 16), (9, 9)])
def test_controls_leave_a_figure_that_would_have_more_than_sixteen_lines(methods: int, shown: int) -> None:
    labels = [f"m{i}{control}" for i in range(methods) for control in ("", " ablation=invert")]
    figure = accuracy_figure(panel(trial(label.split()[0], 0.9, 0, 0.5, method_label=label) for label in labels))
    assert len(legend_of(figure).get_texts()) == shown
    assert any("controls have their own figure" in text for text in texts(figure)) == (shown == 9)


def test_a_method_that_trains_several_times_makes_the_title_speak_of_one_training() -> None:
    figure = accuracy_figure(panel([trial("snip", 0.9, 0, 0.5), trial("imp", 0.9, 0, 0.5, epochs=30)]))
    assert any(text.startswith("5 epochs a training, n = 1;") for text in texts(figure))


@pytest.mark.parametrize(("methods", "option", "share"), [(2, "", 0.65), (10, " option=of_a_long_name", 0.55)])
def test_a_long_text_below_the_title_is_wrapped_and_does_not_squeeze_the_axes(
    methods: int, option: str, share: float
) -> None:
    runs = [trial("imp", 0.9, 0, 0.95, epochs=30)]
    runs += [trial(f"m{i}", 0.9, i, 0.9, method_label=f"m{i}{option}") for i in range(1, methods)]
    figure = accuracy_figure(panel(runs))
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().width > share
    (text,) = (t for t in figure.axes[0].texts if t.get_text().startswith("5 epochs a training"))
    assert text.get_text().replace("\n", " ").endswith("; chance, 10%, is below the axis")
    assert text.get_window_extent().x1 < figure.bbox.x1
    assert text.get_window_extent().y1 < figure.axes[0].title.get_window_extent().y0 or "\n" not in text.get_text()


def test_known_methods_have_colours_of_their_own_and_an_unknown_one_always_the_same() -> None:
    shipped = {palette.colour(name) for name in pruning.names() if pruning.find(name).shipped}
    assert len(shipped) == sum(pruning.find(name).shipped for name in pruning.names())
    assert palette.colour("my_method") == palette.colour("my_method") not in shipped


@pytest.mark.parametrize(
    "trials",
    [
        [trial("dense", 0.0, 0, 0.95)],
        [trial("force", 0.9, 0, 0.9)],
        [trial("snip", 0.99, seed, 0.1) for seed in range(3)],
        [trial("random", 0.0, 0, 0.95), trial("random", 0.9999, 0, 0.6)],
        [trial("force", 0.9, 0, 0.9, classes=None), trial("snip", 0.9, 0, None, status=FAILED)],
        [trial("x y=1", 0.9, 0, 1.0, architecture_label="my.net:Factory " + "option=1 " * 30)],
    ],
    ids=["dense only", "one run", "all collapsed", "sparsity zero", "chance unknown", "long names"],
)
def test_odd_sweeps_are_drawn_without_a_warning(trials: list[Any], tmp_path: Path) -> None:
    png, svg, _ = style.save(accuracy_figure(panel(trials)), tmp_path / "odd")
    assert png.stat().st_size > 5000
    assert svg.read_text().startswith("<?xml")


def test_layers_are_in_network_order_with_a_density_a_run(store: MakeStore) -> None:
    runs = [trial("snip", 0.99, seed, 0.8) for seed in (0, 1)]
    masks = [mask(run.trial_id, position, 10 * position + seed, seed) for seed, run in enumerate(runs)
             for position in (10, 2, 0)]  # fmt: skip
    made = store("a", runs, masks)
    (cell,) = panel(runs).cells
    found = layer_densities(cell, made.masks())
    assert [layer.tensor for layer in found] == ["layer0.weight", "layer2.weight", "layer10.weight"]
    assert [tuple(sorted(layer.kept)) for layer in found] == [(0, 0.001), (0.02, 0.021), (0.1, 0.101)]
    assert tuple(sorted(found[0].effective)) == (0, 0.001)
    assert [layer.empty for layer in found] == [1, 0, 0]


def test_layer_bars_rise_to_the_mean_density_and_empty_layers_are_crosses(sweep_store: Store) -> None:
    only = panel(from_table(sweep_store.trials()))
    figure = layers_figure(only, sweep_store.masks(), 0.99)
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Random", "SNIP", "FORCE"]
    kept, effective = figure.axes[2].containers
    assert [bar.get_y() + bar.get_height() for bar in kept][:2] == pytest.approx([0.02, 0.01])
    assert [bar.get_y() + bar.get_height() for bar in effective][:2] == pytest.approx([0.01, 0.005])
    assert figure.axes[2].get_yscale() == "log"
    crosses = artist(figure, "empty/force")
    assert np.asarray(crosses.get_offsets())[:, 0].tolist() == [2]
    assert len(artist(figure, "runs/force").get_offsets()) == 4  # two runs of two layers that hold something


def test_where_paths_are_unknown_bars_show_what_was_kept_alone_and_the_figure_says_so(store: MakeStore) -> None:
    runs = [trial("snip", 0.99, 0, 0.8)]
    made = store("a", runs, [mask(runs[0].trial_id, 0, 10, None), mask(runs[0].trial_id, 1, 20, None)])
    figure = layers_figure(panel(runs), made.masks(), 0.99)
    assert figure is not None
    (kept,) = figure.axes[0].containers
    assert [bar.get_y() + bar.get_height() for bar in kept] == pytest.approx([0.01, 0.02])
    assert any("what is cut off is not known" in text for text in texts(figure))


def test_where_training_moved_the_mask_a_stroke_shows_where_each_layer_started(store: MakeStore) -> None:
    runs = [trial("rigl", 0.99, seed, 0.8, effective_sparsity=0.991, final_effective_sparsity=0.992) for seed in (0, 1)]
    fixed = trial("snip", 0.99, 0, 0.8)
    masks = [mask(run.trial_id, i, kept, 1, start=30 - kept) for run in runs for i, kept in enumerate((10, 20))]
    masks += [mask(fixed.trial_id, i, 10, 1, start=10) for i in range(2)]
    masks[2] = mask(runs[1].trial_id, 0, 10, 1, start=40)
    figure = layers_figure(panel([*runs, fixed]), store("a", [*runs, fixed], masks).masks(), 0.99)
    assert figure is not None
    assert places(figure, "start/rigl") == [(0, 0.03), (1, 0.01)]  # the mean of 20 and 40 of 1000; 10
    assert artist(figure, "start/snip") is None
    assert "effective 99.20%" in texts(figure)  # of the mask that is drawn


def test_a_control_with_its_methods_layer_counts_has_no_plot_of_its_own_in_the_layers(store: MakeStore) -> None:
    labels = ("snip", "snip ablation=shuffle_layerwise", "snip ablation=invert", "force ablation=reinitialize")
    runs = [trial(label.split()[0], 0.9, 0, 0.5, method_label=label) for label in labels]
    made = store("a", runs, [mask(run.trial_id, 0, 10, 5) for run in runs])
    figure = layers_figure(panel(runs), made.masks(), 0.9)
    assert figure is not None
    shown = [axes.get_title(loc="left") for axes in figure.axes]
    assert [name for name in shown if name] == ["SNIP", "SNIP, inverted", "FORCE, re-initialised"]


def test_no_layers_figure_where_no_mask_was_stored() -> None:
    from sweep.records import MaskRecord, table

    assert layers_figure(panel([trial("force", 0.9, 0, 0.9)]), table(MaskRecord, []), 0.9) is None


@pytest.mark.parametrize(("count", "methods"), [(1, 1), (17, 1), (54, 1), (3, 9)])
def test_layers_of_networks_of_any_depth_are_drawn_without_a_warning(
    store: MakeStore, tmp_path: Path, count: int, methods: int
) -> None:
    names = ["force", *(f"m{i}" for i in range(1, methods))]
    runs = [trial(name, 0.999, 0, 0.9, effective_sparsity=0.9995) for name in names]
    masks = [mask(run.trial_id, i, 1 + i % 3, i % 2, total=10**6) for run in runs for i in range(count)]
    figure = layers_figure(panel(runs), store("a", runs, masks).masks(), 0.999)
    assert figure is not None
    assert style.save(figure, tmp_path / "layers")[0].stat().st_size > 5000
    assert "effective 99.950%" in texts(figure)


def test_drawing_leaves_no_setting_changed_and_heeds_none(sweep_panel: Panel, tmp_path: Path) -> None:
    plain = style.save(accuracy_figure(sweep_panel), tmp_path / "plain")[1].read_bytes()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        before = dict(matplotlib.rcParams)
        drawn = style.save(accuracy_figure(sweep_panel), tmp_path / "drawn")[1].read_bytes()
        assert dict(matplotlib.rcParams) == before
    assert drawn == plain
