"""Trials with several results, in one merged store or in several, are marked wherever their numbers are shown."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import sweep as package
from sweep.cli import main
from sweep.report import write_report
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.figures.style import save
from sweep.store import Store
from sweep.store.merging import merge

from .conftest import MakeStore, artist, panel, trial


@pytest.fixture
def clusters(store: MakeStore) -> tuple[Store, Store]:
    """Two clusters' stores: of SNIP's two seeds the first ended with another accuracy on each."""
    one, two = (
        {"cluster": name, "device": device, "epochs": 0, "versions": '{"torch": "2.13.0"}'}
        for name, device in (("one", "A100"), ("two", "H100"))
    )
    first = [trial("snip", 0.9, 0, 0.80, **one), trial("snip", 0.9, 1, 0.82, **one)]
    second = [trial("snip", 0.9, 0, 0.81, **two), trial("force", 0.9, 0, 0.9, **two)]
    return store("one", first), store("two", second)


def written(stores: list[Store], folder: Path) -> dict[str, bytes]:
    """The files of a report, without what says when and from where it was written."""
    write_report(stores, folder, html=True)
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "report.html"}
    page = (folder / "report.html").read_text()
    return files | {"report.html": page[page.index("<section") : page.index('<section id="provenance"')].encode()}


@pytest.mark.slow
def test_a_report_over_two_stores_is_that_of_the_merged_one(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    merged = Store(tmp_path / "merged")
    assert merge(clusters, merged).left_out == []
    reports = [written(stores, tmp_path / f"out-{number}") for number, stores in enumerate(
        ([merged], [*clusters], [*clusters[::-1]], [merged, *clusters])
    )]  # fmt: skip
    for report in reports[1:]:
        assert report.keys() == reports[0].keys()
        assert [name for name in report if report[name] != reports[0][name]] == []


def test_every_table_figure_and_page_marks_them(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    files = write_report([*clusters], tmp_path / "out", html=True)
    summary = files.summary.read_text()
    assert "81.50 ± 0.71 (2), 1 in conflict" in summary  # the one written last counts: 81 and 82
    assert "- **in conflict**: 1 run completed with several results" in summary
    line = next(line for line in summary.partition("## Trials with several results")[2].splitlines() if "snip" in line)
    assert "counts 81.00%" in line and "other result 80.00%" in line and "device H100 / A100" in line
    assert "- cluster: one, two" in summary
    with files.summary_csv.open() as file:
        assert {row["method"]: row["in_conflict"] for row in csv.DictReader(file)} == {"snip": "1", "force": "0"}
    with files.trials_csv.open() as file:
        rows = list(csv.DictReader(file))
        assert sorted(row["other_results"] for row in rows) == ["0", "0", "1"]
        assert sorted(row["cluster"] for row in rows) == ["one", "two", "two"]
    assert files.page is not None
    page = files.page.read_text()
    assert 'id="conflicts"' in page and '"key":"other_results"' in page and '"key":"cluster"' in page
    svgs = [path.read_text() for path in files.figures if path.suffix == ".svg"]
    assert svgs and all("1 run of this panel in conflict: see summary.md" in svg for svg in svgs)


def test_the_note_below_a_figure_leaves_what_was_drawn_where_it_was(tmp_path: Path) -> None:
    plain, noted = (accuracy_figure(panel([trial("snip", 0.9, 0, 0.8)])) for _ in range(2))
    save(plain, tmp_path / "plain")
    save(noted, tmp_path / "noted", "1 run in conflict")
    assert artist(plain, "below") is None and artist(noted, "below") is not None
    boxes = [figure.axes[0].get_window_extent() for figure in (plain, noted)]
    assert boxes[0].width == pytest.approx(boxes[1].width, abs=1) and boxes[0].height == pytest.approx(
        boxes[1].height, abs=1
    )


def test_nothing_is_marked_without_conflicts(store: MakeStore, tmp_path: Path) -> None:
    files = write_report([store("one", [trial("snip", 0.9, 0, 0.8)])], tmp_path / "out", html=True)
    assert "conflict" not in files.summary.read_text()
    assert files.page is not None and 'id="conflicts"' not in files.page.read_text()


def test_queries_and_the_trials_own_page_name_them(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    merged = Store(tmp_path / "merged")
    merge(clusters, merged)
    for stores in ([merged], [*clusters], [*clusters[::-1]]):
        rows = package.load(*stores).sql(
            "SELECT seed, cluster, other_results FROM trials WHERE method = 'snip' ORDER BY seed"
        )
        assert rows.to_pylist() == [
            {"seed": 0, "cluster": "two", "other_results": 1}, {"seed": 1, "cluster": "one", "other_results": 0},
        ]  # fmt: skip
        assert package.load(*stores).trials.num_rows == 3
    name = trial("snip", 0.9, 0, 0.8).trial_id
    shown = CliRunner().invoke(main, ["trial", "show", name, "--store", merged.uri])
    assert "other result: 80.00%" in shown.stdout and "device H100 / A100" in shown.stdout
    values = json.loads(CliRunner().invoke(main, ["trial", "show", name, "--store", merged.uri, "--json"]).stdout)
    assert values["other_results"][0]["provenance"]["device"] == ["H100", "A100"]
    assert "1 trial has other results" in CliRunner().invoke(main, ["status", "--store", merged.uri]).stdout
