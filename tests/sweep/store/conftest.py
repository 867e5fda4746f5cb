"""Real trials to put into a store, and processes that use it at the same time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.config.trial_config import TrialConfig
from sweep.records import Outcome
from sweep.trial.run import run_trial
from sweep.trial.settings import RunSettings
from training import data

from .helpers import Forks

DIGITS = Path(__file__).parents[3] / "configs/digits.yaml"
QUICK = [
    "training.epochs=2", "training.batch_size=512", "grid.seed=0", "grid.sparsity=0.9", "pruning.batch_size=32",
    "grid.architecture={name: vgg_digits, width: 8, depth: 4}",
]  # fmt: skip


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Starts processes."""
    found = Forks(tmp_path_factory.mktemp("forks"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def run() -> Callable[..., list[Outcome]]:
    """Run the quick digits sweep as it is set."""
    images: dict[str, data.Dataset] = {}

    def trials(*settings: str) -> list[Outcome]:
        return [one(trial) for trial in expand(read_sweep(DIGITS, [*QUICK, *settings]))]

    def one(trial: TrialConfig) -> Outcome:
        if "digits" not in images:
            images["digits"] = data.load(trial.data)
        return run_trial(trial, images["digits"], settings=RunSettings(sweep="digits"))

    return trials


@pytest.fixture(scope="session")
def trials(run: Callable[..., list[Outcome]]) -> list[Outcome]:
    """Two real trials: SNIP's and the dense one."""
    found = run("grid.method=[snip, dense]")
    assert [outcome.trial.status for outcome in found] == ["completed", "completed"]
    return found
