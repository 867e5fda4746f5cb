"""examples/after_the_sweep.ipynb runs from its first to its last cell, on trials that really ran."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.store import Store
from sweep.trial.run import run_trial
from sweep.trial.settings import RunSettings
from training import data

ROOT = Path(__file__).parents[3]
NOTEBOOK = ROOT / "examples/after_the_sweep.ipynb"
QUICK = [
    "training.epochs=1", "training.batch_size=512", "grid.seed=0,1", "grid.sparsity=[0.9, 0.99]", "pruning.batch_size=32",
    "grid.architecture={name: vgg_digits, width: 8, depth: 4}", "grid.method=[dense, snip, force]",
]  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Store:
    """Ten trials of a second or less, of the sweep that the notebook reads."""
    store, sweep = Store(tmp_path / "results"), read_sweep(ROOT / "configs/digits.yaml", QUICK)
    images = data.load(sweep.data)
    for trial in expand(sweep):
        store.write(run_trial(trial, images, settings=RunSettings(sweep="digits")))
    return store


@pytest.mark.slow
def test_the_notebook_runs_on_a_sweep_of_digits(results: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    strict = f"import sys, warnings; warnings.simplefilter('error'); assert sys.executable == {sys.executable!r}"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(strict))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(results.local.parent)}}).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert not [output for cell in outputs for output in cell if output.get("name") == "stderr"]
    _, table, plot, paired, densities, masks, network = outputs
    assert shown(table).count("SNIP") == 4
    assert any("image/png" in output.get("data", {}) for output in plot)
    assert "Holm p" in shown(paired) and "FORCE" in shown(paired)
    assert shown(densities).count(".weight") == len(results.masks()["tensor"].unique())
    assert " of " in shown(masks)
    assert "largest difference" in shown(network) or "no channel is disconnected" in shown(network)


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 6
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def shown(outputs: list[nbformat.NotebookNode]) -> str:
    """What a cell printed and displayed, as text."""
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs)
