"""Sweeps that share trials, and one that is launched with another grid: report, status and launch name the same ones."""

import csv
import json
from pathlib import Path

import pytest

from sweep.store import Store

from ..small import own_networks, sweep

CONFIG = """
name: {name}
data: digits
grid: {{architecture: "small_networks:network", method: random, sparsity: 0.5, seed: [{seeds}]}}
pruning: {{batch_size: 37}}
training: {{epochs: 1, batch_size: 512}}
store: results
tracking: {{enabled: false}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield from (tmp_path for _ in own_networks(tmp_path, monkeypatch))


def launch(name: str, seeds: str, *arguments: str):
    Path(f"{name}.yaml").write_text(CONFIG.format(name=name, seeds=seeds))
    result = sweep("launch", f"{name}.yaml", "--local", *arguments)
    assert result.code == 0, result.out + result.err
    return result


def reported(name: str) -> list[int]:
    """Seeds in the report of a sweep."""
    with open(f"results/reports/{name}/trials.csv") as file:
        return sorted(int(row["seed"]) for row in csv.DictReader(file))


def test_the_report_of_a_sweep_has_the_trials_that_ran_under_another_name(folder):
    launch("one", "0, 1")
    launch("two", "1, 2")
    assert reported("two") == [1, 2]
    summary = Path("results/reports/two/summary.md").read_text()
    assert summary.startswith("# two\n")
    assert sweep("report", "results", "--sweep", "two").code == 0
    assert (reported("two"), Path("results/reports/two/summary.md").read_text()) == ([1, 2], summary)
    assert json.loads(sweep("status", "--json").out) == {"one": {"completed": 2}, "two": {"completed": 2}}


def test_a_sweep_all_of_whose_trials_ran_under_another_name_has_a_report(folder):
    launch("one", "0")
    assert "nothing to run" in launch("two", "0").out
    assert reported("two") == [0]
    assert sweep("report", "results", "--sweep", "two").code == 0
    assert reported("two") == [0]


def test_a_launch_of_another_part_of_the_grid_leaves_the_report_whole(folder):
    launch("one", "0")
    launch("two", "0")  # which finds its trial
    launch("two", "1")
    assert reported("two") == [0, 1]
    launch("two", "2")
    assert reported("two") == [0, 1, 2]
    [record] = [each for each in Store("results").sweeps() if each.name == "two"]
    assert (len(record.trials), len(record.earlier)) == (1, 2)
    assert json.loads(sweep("status", "--json").out)["two"] == {"completed": 3}


def test_a_report_is_drawn_where_mlflow_is_off(folder):  # as it is in all launches of this file
    launch("one", "0")
    assert {"summary.md", "trials.csv"} <= {path.name for path in Path("results/reports/one").iterdir()}
    drawn = Path("results/reports/one/summary.md").stat().st_mtime_ns
    launch("one", "0")
    assert Path("results/reports/one/summary.md").stat().st_mtime_ns == drawn  # nothing ran


def test_a_report_that_cannot_be_written_fails_no_launch(folder):
    (folder / "results").mkdir()
    (folder / "results/reports").write_text("in the way")
    assert "no report was drawn" in launch("one", "0").out
