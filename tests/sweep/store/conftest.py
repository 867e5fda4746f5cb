"""A store on every backend, real trials to put into it, and processes that use it at the same time."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.config.trial_config import TrialConfig
from sweep.records import Outcome
from sweep.store import Store
from sweep.trial.run import run_trial
from sweep.trial.settings import RunSettings
from training import data

from .helpers import AWS, Forks

DIGITS = Path(__file__).parents[3] / "configs/digits.yaml"
QUICK = [
    "training.epochs=2", "training.batch_size=512", "grid.seed=0", "grid.sparsity=0.9", "pruning.batch_size=32",
    "grid.architecture={name: vgg_digits, width: 8, depth: 4}",
]  # fmt: skip


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody whom S3 knows."""
    for key, value in AWS.items():
        monkeypatch.setenv(key, value)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An absent store, on every backend that there is."""
    if request.param == "local":
        return Store(tmp_path / "results")
    request.getfixturevalue("aws")
    prefix = re.sub(r"\W+", "-", request.node.name)
    found = Store(f"s3://store-tests/{prefix}?{request.getfixturevalue('s3')}")
    found.files.fs.create_dir("store-tests")
    return found


@pytest.fixture
def local(tmp_path: Path) -> Store:
    """An absent store on the disk, for what can only be done to files there."""
    return Store(tmp_path / "results")


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
