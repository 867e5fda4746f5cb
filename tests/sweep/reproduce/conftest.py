"""A small experiment of one's own: its YAML, what was published of it, and a store with exactly the runs a test names."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sweep.config.grid import expand, trial_id
from sweep.records import Outcome
from sweep.reproduce import JudgedRow, Reproduction, Verdict, judge, read
from sweep.store import Store

YAML = """
name: small
data: {name: DATA, validation: 0}
grid:
  architecture: resnet20
  method: [dense, random, snip, force]
  sparsity: [0.9, 0.99]
  seed: [0, 1, 2]
training: {epochs: 5}
store: STORE
"""
NUMBERS = "architecture,method,sparsity,value,std,n,reading,split,epochs,tolerance,allows,note,source"
CLAIMS = "architecture,method,relation,reference,sparsity,expected,reason,source"


@pytest.fixture(autouse=True)
def no_figures() -> None:
    """Figures are drawn here."""


class Experiment:
    """The files and the store. Accuracies in per cent, one a seed; None for a run that diverged."""

    def __init__(self, folder: Path, outcome: Callable[..., Outcome]):
        self.folder, self.outcome = folder, outcome
        self.config, self.store = folder / "small.yaml", Store(folder / "results")
        (folder / "published").mkdir()
        self.write_yaml()

    def write_yaml(self, data: str = "cifar10") -> None:
        self.config.write_text(YAML.replace("DATA", data).replace("STORE", str(self.folder / "results")))

    def numbers(self, *rows: str, header: str = NUMBERS) -> None:
        (self.folder / "published/small.csv").write_text("\n".join([header, *rows]) + "\n")

    def claims(self, *rows: str, header: str = CLAIMS) -> None:
        (self.folder / "published/small.claims.csv").write_text("\n".join([header, *rows]) + "\n")

    def read(self, *settings: str) -> Reproduction:
        return read(self.config, settings)

    def run(
        self, runs: Mapping[tuple[str, float], Sequence[float | None]], settings: Sequence[str] = (), **facts: Any
    ) -> None:
        """Store the outcomes of these cells of the grid (as ``settings`` leave it), seeds from 0 on."""
        for trial in expand(self.read(*settings).sweep):
            accuracies = runs.get((trial.method_label, trial.sparsity), ())
            if trial.seed < len(accuracies):
                accuracy = accuracies[trial.seed]
                if accuracy is None:  # a completed outcome would not give way to one that diverged
                    self.store.files.delete(*(old.name for old in self.store.loose("trials", {trial_id(trial)})))
                what: dict[str, Any] = {
                    "data": trial.data.name, "architecture": trial.architecture.name,
                    "architecture_label": trial.architecture.label, "method": trial.method.name,
                    "method_label": trial.method_label, "sparsity": trial.sparsity, "seed": trial.seed,
                    "config": trial.to_json(), "status": "diverged" if accuracy is None else "completed",
                    "test_accuracy": None if accuracy is None else accuracy / 100,
                }  # fmt: skip
                self.store.write(self.outcome(trial_id(trial), **(what | facts)))

    def judge(self, *settings: str) -> list[Verdict]:
        return judge(self.read(*settings), self.store)

    def row(self) -> JudgedRow:
        """The only row's verdict."""
        [[row]] = [verdict.rows for verdict in self.judge()]
        return row


@pytest.fixture
def experiment(tmp_path: Path, outcome: Callable[..., Outcome]) -> Experiment:
    return Experiment(tmp_path, outcome)
