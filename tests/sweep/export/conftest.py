"""Two small real trials in a store: one whose final weights are kept, and one whose are not."""

from pathlib import Path

import pytest

from sweep.config.compute import Compute
from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.records import Outcome
from sweep.store import Store
from sweep.trial.run import run_trial
from sweep.trial.settings import RunSettings

from ...once import value_made_once

DIGITS = Path(__file__).parents[3] / "configs/digits.yaml"
QUICK = [
    "training.epochs=1", "training.batch_size=256", "grid.seed=0", "grid.sparsity=0.97", "pruning.batch_size=64",
    "grid.architecture={name: vgg_digits, width: 16, depth: 4}", "grid.method=[{name: force, rounds: 3}, random]",
]  # fmt: skip


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """FORCE's trial, with its final weights, and that of a random mask, without."""
    return value_made_once(tmp_path_factory, "outcomes", _outcomes)


def _outcomes() -> list[Outcome]:
    force, random = expand(read_sweep(DIGITS, QUICK))
    kept = RunSettings(compute=Compute(keep_weights="final"))
    found = [run_trial(force, settings=kept), run_trial(random)]
    assert [outcome.trial.status for outcome in found] == ["completed", "completed"]
    return found


@pytest.fixture(scope="session")
def results(outcomes: list[Outcome], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of both, on the disk; nobody writes to it."""
    store = Store(tmp_path_factory.mktemp("export") / "results")
    for outcome in outcomes:
        store.write(outcome)
    return store


@pytest.fixture
def force(outcomes: list[Outcome]) -> str:
    return outcomes[0].trial.trial_id


@pytest.fixture
def random(outcomes: list[Outcome]) -> str:
    return outcomes[1].trial.trial_id
