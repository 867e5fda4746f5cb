"""Runs whose batches were taken in pieces are marked wherever their accuracies are shown."""

import csv
from pathlib import Path

from sweep.report import accuracy_table, write_report
from sweep.report.comparison import compare
from sweep.report.comparison_tables import difference_text
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.figures.cost import cost_figure
from sweep.report.figures.sanity import sanity_figure
from sweep.reproduce.sample import sample

from .conftest import MakeStore, artist, panel, places, texts, trial


def runs(**facts: int) -> list:
    shared = {"training_flops_share": 0.5}
    return [
        trial("dense", 0.0, 0, 0.95, training_flops_share=1.0, **facts),
        trial("snip", 0.9, 0, 0.80, **shared, **facts),
        trial("snip", 0.9, 1, 0.82, **shared),
        trial("snip", 0.99, 0, 0.10, **shared, **facts),
        trial("force", 0.9, 0, 0.85, **shared),
    ]


def test_tables_and_csv_count_them_and_the_summary_says_what_they_are(store: MakeStore, tmp_path: Path) -> None:
    found = panel(runs(accumulate=4))
    entries = {entry.text for row in accuracy_table(found).rows for entry in row}
    assert {"81.00 ± 1.41 (2), 1 in pieces", "at chance (1), 1 in pieces, 1 missing", "85.00 (1), 1 missing"} <= entries
    assert accuracy_table(found).notes == ("Dense: 95.00 (1), 1 in pieces, 1 missing", *accuracy_table(found).notes[1:])
    files = write_report([store("a", runs(accumulate=4))], tmp_path / "out")
    assert "- **in pieces**: 3 runs took each batch in pieces" in files.summary.read_text()
    with files.summary_csv.open() as file:
        counted = {(row["method"], row["sparsity"]): row["in_pieces"] for row in csv.DictReader(file)}
    assert counted == {("dense", "0"): "1", ("snip", "0.9"): "1", ("snip", "0.99"): "1", ("force", "0.9"): "0"}
    with files.trials_csv.open() as file:
        assert sorted(row["accumulate"] for row in csv.DictReader(file)) == ["", "", "4", "4", "4"]


def test_figures_ring_them() -> None:
    found = panel(runs(accumulate=4))
    figure = accuracy_figure(found)
    rings = [
        place
        for made in figure.findobj(lambda a: a.get_gid() == "pieces")
        for place in made.get_offsets().tolist()  # type: ignore[attr-defined]
    ]
    assert {round(y) for _, y in rings} == {95, 80, 10} and len(rings) == 3
    points = places(figure, "runs/snip") + places(figure, "collapsed/snip") + places(figure, "runs/dense")
    assert {(round(x, 6), round(y, 6)) for x, y in rings} <= set(points)
    priced = cost_figure(found)
    assert priced is not None and artist(priced, "pieces") is not None
    assert "batches in pieces" in texts(figure) and "batches in pieces" in texts(priced)


def test_the_figure_of_controls_rings_them() -> None:
    control = trial("snip", 0.9, 0, 0.7, method_label="snip ablation=invert", accumulate=4)
    figure = sanity_figure(panel([*runs(accumulate=4), control]))
    assert figure is not None and "batches in pieces" in texts(figure)
    rings = [
        place
        for made in figure.findobj(lambda a: a.get_gid() == "pieces")
        for place in made.get_offsets().tolist()  # type: ignore[attr-defined]
    ]
    assert sorted(round(y) for _, y in rings) == [10, 70, 80]


def test_nothing_is_marked_where_all_batches_had_room() -> None:
    found = panel(runs())
    figure = accuracy_figure(found)
    assert artist(figure, "pieces") is None and "batches in pieces" not in texts(figure)


def test_pairs_and_samples_count_them_beside_the_number() -> None:
    force, snip = (
        panel([trial(name, 0.9, seed, 0.8 + seed / 100, **facts) for seed in (0, 1)]).cells[0]
        for name, facts in (("force", {"accumulate": 2}), ("snip", {}))
    )
    assert difference_text(compare(force, snip)) == "+0.00 (2, no spread), 2 in pieces"
    assert difference_text(compare(force, force)) == "+0.00 (2, no spread)"  # the same batches
    assert sample(force, 3).text() == "80.50 ± 0.71 (2), 2 in pieces, 1 missing"
