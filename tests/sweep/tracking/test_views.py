"""The links of `sweep ui` open, in a real browser, on the answer: a table sorted by accuracy, and two charts."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.config.trial_config import TrialConfig
from sweep.records import Outcome
from sweep.store import Store
from sweep.tracking import mlflow_run
from sweep.tracking.trial_run import colour
from sweep.tracking.views import MOST_COLUMNS, views

from ...browser import Visit, visit
from ...once import folder_made_once
from .helpers import CONFIG, launched, outcome, synced, tallies
from .mlflows import free_port, once_each, shown

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # mlflow warns of its own affairs

WIDE = """
name: wide
data: {name: digits, validation: 100}
grid:
  architecture: {name: vgg_digits, width: 8, depth: 4}
  method: [random, snip, synflow, {name: force, rounds: 60}, {name: force, rounds: 300}]
  sparsity: [0.5, 0.9, 0.95, 0.98, 0.99]
  seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
training: {epochs: 2}
"""
# MLflow's page asks for the current user, which a server without accounts does not know, and lays itself out twice
MLFLOWS_OWN = ("404", "ResizeObserver loop")


def wide_outcome(trial: TrialConfig, number: int) -> Outcome:
    """A completed trial with two epochs; accuracies all differ, the best first."""
    made = outcome(trial, sweep="wide", test_accuracy=0.99 - number / 1000, cluster=f"cluster-{number % 2}")
    name = made.trial.trial_id
    epochs = [replace(made.epochs[0], trial_id=name, epoch=e, validation_accuracy=0.4 * e) for e in (1, 2)]
    return replace(made, epochs=tuple(epochs))


@dataclass(frozen=True)
class Shown:
    """A sweep of 500 trials in MLflow, and what `sweep ui` said."""

    links: tuple[str, ...]  # to the table and to the charts
    said: str


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """`sweep ui` on a store of 500 trials."""
    filled = folder_made_once(tmp_path_factory, "wide", fill)
    store = Store(shutil.copytree(filled, tmp_path_factory.mktemp("ui") / "results"))
    command = [sys.executable, "-m", "sweep", "ui", "--store", store.uri, "--port", str(free_port())]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process, ended(process):
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        said = "".join(lines)
        yield Shown(tuple(re.findall(r"http\S+#\S+", said)), said)
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
        assert process.stdout.read() == ""


def fill(target: Path) -> None:
    """A store of 500 trials in MLflow, made on a disk in memory where there is one: MLflow syncs every row."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        (Path(folder) / "wide.yaml").write_text(WIDE)
        trials, store = expand(read_sweep(Path(folder) / "wide.yaml")), Store(Path(folder) / "results")
        for number, trial in enumerate(trials):
            store.write(wide_outcome(trial, number))
        store.write_sweep(launched("wide", trials))
        assert tallies(store) == [(500, 0, 0)]
        shutil.copytree(Path(folder) / "results", target, dirs_exist_ok=True)


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Ends the process with the block, whatever happens."""
    try:
        yield
    finally:
        process.terminate()


def errors_of_ours(seen: Visit) -> list[str]:
    return [error for error in seen.errors if not any(known in error for known in MLFLOWS_OWN)]


def headers(seen: Visit) -> list[str]:
    """The names of the table's columns, from the left."""
    found = seen.page.get_by_role("columnheader").all()
    placed = sorted((header.bounding_box()["x"], header.inner_text().strip()) for header in found)
    return list(dict.fromkeys(name for _, name in placed))


def column(seen: Visit, name: str) -> list[str]:
    """The texts of a column of the table, from the top."""
    cells = seen.page.locator(f'[role="gridcell"][col-id="{name}"]').all()
    rows = {int(cell.locator("xpath=..").get_attribute("row-index")): cell.inner_text() for cell in cells}
    return [rows[index] for index in sorted(rows)]


def test_ui_says_only_its_links(pages: Shown) -> None:
    table, charts, address = pages.said.splitlines()
    assert table.startswith("wide, table: http://127.0.0.1:") and table.endswith("viewStateShareKey=sweep")
    assert charts.startswith("wide, charts: ") and charts.endswith("&compareRunsMode=CHART")
    assert re.fullmatch(r"MLflow on http://127\.0\.0\.1:\d+ \(Ctrl-C ends it\)", address)


@pytest.mark.browser
def test_the_first_link_opens_the_trials_sorted_by_test_accuracy(pages: Shown) -> None:
    with visit(pages.links[0], width=1900, height=1000) as seen:
        seen.page.get_by_text("0.99", exact=True).first.wait_for(timeout=60_000)
        names = headers(seen)
        asked = ["method", "sparsity", "seed", "architecture", "test_accuracy"]
        assert [name for name in names if name in asked] == asked
        assert names.index("sweep.cluster") > names.index("test_accuracy")  # the trials ran on two
        accuracies = [float(text) for text in column(seen, "metrics.`test_accuracy`")]
        assert len(accuracies) == 100 and accuracies == [0.99 - n / 1000 for n in range(len(accuracies))]
        assert seen.page.get_by_text("Sort: test_accuracy").is_visible()
        assert seen.page.locator("input[value=\"tags.`sweep.kind` = 'trial'\"]").count() == 1
        assert not seen.page.get_by_text("sweep wide", exact=True).count()  # the run of the sweep itself
        assert seen.page.get_by_text("100 matching runs").is_visible()
        assert not errors_of_ours(seen)
        assert {request.split("/")[2] for request in seen.requests} == {pages.links[0].split("/")[2]}


@pytest.mark.browser
def test_the_second_link_opens_two_charts_in_the_methods_colours(pages: Shown) -> None:
    with visit(pages.links[1], width=1900, height=1000) as seen:
        page = seen.page
        for title in ("Accuracy", "sparsity vs. test_accuracy", "validation_accuracy"):
            page.get_by_text(title, exact=True).first.wait_for(timeout=60_000)
        page.locator(".scatterlayer .point").first.wait_for(timeout=30_000)
        page.wait_for_function("document.querySelectorAll('.scatterlayer .js-line').length > 50", timeout=30_000)
        assert page.get_by_text("Model metrics").count() == 1  # folded away
        fills = page.evaluate("[...document.querySelectorAll('.scatterlayer .point')].map(p => p.style.fill)")
        expected = {hex_of(name) for name in ("random", "snip", "synflow", "force")}
        assert expected <= set(fills)
        assert not errors_of_ours(seen)


def hex_of(method: str) -> str:
    """The method's colour as a browser writes it."""
    code = colour(method)
    assert code is not None
    return "rgb({}, {}, {})".format(*bytes.fromhex(code[1:]))


def test_a_view_shows_what_differs_and_fits_a_tag() -> None:
    configs = [{"data": {"name": "digits", "validation": 0}, "ablation": "invert"}, {"data": {"name": "digits"}}]
    table, charts = views(configs, [f"training.setting_{n:02}" for n in range(60)])
    columns = table.state["selectedColumns"]
    assert columns[:6] == [
        "params.`method`", "params.`sparsity`", "params.`seed`", "params.`architecture`", "metrics.`test_accuracy`",
        "tags.`sweep.cluster`",
    ]  # fmt: skip
    assert len(columns) == MOST_COLUMNS and max(len(table.value), len(charts.value)) < 5000
    assert charts.state["compareRunCharts"][1]["metricKey"] == "train_accuracy"  # nothing is held out
    assert json.loads(charts.value)["orderByKey"] == "params.`seed`"


def test_runs_of_an_earlier_version_are_written_anew_and_keep_their_users_tags(tmp_path: Path) -> None:
    (tmp_path / "away.yaml").write_text(CONFIG)
    trials, store = expand(read_sweep(tmp_path / "away.yaml"))[:2], Store(tmp_path / "results")
    for trial in trials:
        store.write(outcome(trial))
    store.write_sweep(launched("away", trials))
    synced([store])
    make_old(store)
    assert tallies(store) == [(2, 0, 0)]
    database = tmp_path / "results" / "mlflow.db"
    for run in once_each(database).values():
        assert run["tags"]["reviewed"] == "yes" and run["tags"]["mlflow.note.content"]
        internal = {mlflow_run.OUTCOME, mlflow_run.STORE}
        said = {"sweep.kind", "sweep.trial_id", "sweep.name", "sweep.host", "sweep.status"}
        assert {name for name in run["tags"] if name.startswith("sweep.")} == internal | said
        assert not [metric for metric in run["metrics"] if metric[0].startswith("density")]
    (own,) = shown(database)["the sweep"]
    assert not {mlflow_run.EXPORTER, mlflow_run.BEGAN, mlflow_run.OUTCOME} & own["tags"].keys()
    assert tallies(store) == [(0, 2, 0)]


def make_old(store: Store) -> None:
    """Make runs of the store's as earlier versions wrote them; the user has tagged each."""
    from sweep.tracking.client import Client
    from sweep.tracking.uri import default_uri

    client = Client(default_uri(store))
    experiment = client.get_experiment_by_name("away").experiment_id
    for run in client.search_runs([experiment]):
        client.delete_tag(run.info.run_id, mlflow_run.NOTE)
        client.set_tag(run.info.run_id, mlflow_run.EXPORTER, "{}")
        client.set_tag(run.info.run_id, mlflow_run.BEGAN, "0")
        client.set_tag(run.info.run_id, "reviewed", "yes")
        client.log_metric(run.info.run_id, "density/0", 0.5)
