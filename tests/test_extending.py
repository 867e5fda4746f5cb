"""The examples of docs/extending.md run: own method, network, data set, engine, tracker, figure and column."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args

import pytest

import training.config
from pruning import registry
from sweep import report
from sweep.config.config import sweep_from
from sweep.config.grid import expand
from sweep.config.yaml_tree import plain
from sweep.engines import Stop
from sweep.report import report as report_module
from sweep.report.figures import FIGURES
from sweep.store import Store
from sweep.store.claims import Claims
from training import data, datasets
from training.datasets import Format

PAGE = (Path(__file__).parents[1] / "docs/extending.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```python\n# ([^\n]*)\n(.*?)```", PAGE, re.DOTALL))
SWEEP = {
    "name": "own",
    "data": "stripes",
    "grid": {
        "architecture": {"name": "my_lab.nets:build", "width": 4},
        "method": ["snip", "my_lab.methods:gradient"],
        "sparsity": [0.5, 0.9],
        "seed": 0,
    },
    "pruning": {"batch_size": 10},
    "training": {"epochs": 1, "batch_size": 20},
    "tracking": {"enabled": False},
}


def example(path: str) -> Any:
    """The names that an example defines."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(EXAMPLES[path], names)
    return SimpleNamespace(**names)


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's own code, and its data set in the tables; all as before afterwards."""
    (tmp_path / "my_lab").mkdir()
    for path in ("my_lab/methods.py", "my_lab/nets.py"):
        (tmp_path / path).write_text(EXAMPLES[path])
    stripes = example("training/sources/stripes.py")
    monkeypatch.setitem(datasets.DATASETS, "stripes", stripes.STRIPES)
    monkeypatch.setitem(data.SOURCES, "stripes", stripes)
    monkeypatch.setattr(training.config, "Format", Literal[(*get_args(Format), "stripes")])
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_lab"]:
        del sys.modules[name]


@pytest.mark.slow
def test_the_examples_take_a_sweep_from_its_own_images_to_its_own_figure(
    own_code: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, store, lines = sweep_from(plain(SWEEP, "example")), Store("results"), own_code / "lines.jsonl"
    trials = expand(sweep)
    example("sweep/engines/printing.py").run(
        sweep, trials, Claims.alone(store), example("sweep/tracking/lines.py").Lines(lines), Stop()
    )
    assert capsys.readouterr().out.count("running ") == len(trials) == 4
    written = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["status"] for line in written] == ["completed"] * 4

    figure = example("sweep/report/figures/memory.py").FIGURE
    monkeypatch.setattr(report_module, "FIGURES", (*FIGURES, figure))
    files = report.write_report([store], own_code / "report")
    assert [path.suffix for path in files.figures if path.name.startswith("memory-")] == [".png", ".svg", ".pdf"]

    spread = example("an entry of SUMMARY in sweep/report/columns.py").SPREAD
    [panel] = report.panels(report.from_table(store.trials()))
    assert [spread.value(panel, cell) for cell in panel.cells] == [0.0] * 4


def test_every_example_is_run() -> None:
    used = re.findall(r'"([^"\n]+\.py)"', Path(__file__).read_text(encoding="utf-8"))
    assert set(EXAMPLES) <= set(used)
