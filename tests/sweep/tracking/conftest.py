"""A store filled by hand, its database, and launches of its sweep."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.config.trial_config import TrialConfig
from sweep.store import Store
from sweep.tracking.client import Client

from ...once import folder_made_once
from .helpers import CONFIG, LAUNCH, launched, outcome, synced
from .mlflows import copy, once_each


@pytest.fixture(autouse=True)
def no_figures() -> None:
    """Figures are drawn here."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "away.yaml"
    file.write_text(CONFIG)
    return file


@pytest.fixture
def trials(config: Path) -> list[TrialConfig]:
    return expand(read_sweep(config))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def filled(store: Store, trials: list[TrialConfig], database: Path) -> Store:
    """Twelve trials of a sweep that MLflow has heard nothing of."""
    for trial in trials:
        store.write(outcome(trial))
    store.write_sweep(launched("away", trials))
    return store


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database."""

    def make(folder: Path) -> None:
        Client(f"sqlite:///{folder / 'mlflow.db'}").search_experiments(max_results=1)

    return folder_made_once(tmp_path_factory, "empty", make) / "mlflow.db"


@pytest.fixture
def database(store: Store, empty: Path) -> Path:
    """The store's own, with nothing in it."""
    assert store.local is not None
    return copy(empty, store.local / "mlflow.db")


@pytest.fixture
def undisturbed(empty: Path, tmp_path: Path) -> Callable[[Store], dict[str, dict[str, Any]]]:
    """What a database shows of a store that was there all the time, and that nobody else writes to."""

    def export(store: Store) -> dict[str, dict[str, Any]]:
        file = copy(empty, tmp_path / "undisturbed" / "mlflow.db")
        assert all(each.is_done for each in synced([store], f"sqlite:///{file}"))
        found = once_each(file)
        assert found and all(len(each["metrics"]) > 15 for each in found.values())
        return found

    return export


@pytest.fixture
def launch(config: Path, store: Store) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Begins `sweep launch` in a process of its own, which says at its end what the exporter took of its time."""
    with contextlib.ExitStack() as stack:

        def begin(*settings: str) -> "subprocess.Popen[str]":
            command = [sys.executable, "-c", LAUNCH, "launch", str(config), "--local"]
            for setting in (f"store={store.uri}", *settings):
                command += ["--set", setting]
            out = subprocess.PIPE
            process = stack.enter_context(subprocess.Popen(command, stdout=out, stderr=out, text=True))
            stack.callback(process.kill)
            return process

        yield begin
