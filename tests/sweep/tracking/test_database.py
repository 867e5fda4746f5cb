"""A damaged MLflow database: what is said of it helps."""

import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.store import Store
from sweep.tracking import damage

from .helpers import CONFIG, launched, outcome, sweep

pytestmark = pytest.mark.filterwarnings("default")  # mlflow and what it imports warn of their own affairs


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With one trial of a sweep, and a database that is none."""
    (tmp_path / "away.yaml").write_text(CONFIG)
    trials, made = expand(read_sweep(tmp_path / "away.yaml")), Store(tmp_path / "a store")
    made.write(outcome(trials[0]))
    made.write_sweep(launched("away", trials))
    (tmp_path / "a store/mlflow.db").write_bytes(b"no database" * 500)
    return made


@pytest.mark.slow
def test_the_advice_on_a_damaged_database_helps(store: Store) -> None:
    told = sweep("sync", store.uri)
    assert told.returncode == 1
    assert re.match(
        r"error: MLflow's database .* is damaged \(file is not a database\); move it away: mv ", told.stderr
    )
    command = re.search(r"(mv '.*?' '.*?')", told.stderr)
    assert command
    subprocess.run(shlex.split(command[1]), check=True)
    subprocess.run([sys.executable, "-m", "sweep", "sync", store.uri], check=True)  # this process knows the old one
    assert damage(f"sqlite:///{store.uri}/mlflow.db") is None


def test_the_pages_of_a_damaged_database_are_not_served(store: Store) -> None:
    told = sweep("ui", "--store", store.uri)
    assert told.returncode == 2 and "is damaged" in told.stderr and f"sweep sync '{store.name}'" in told.stderr


@pytest.mark.slow
def test_damage_is_told_from_a_database_that_another_program_has_locked(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE runs (name TEXT)")
    database.execute("BEGIN EXCLUSIVE")
    assert damage(f"sqlite:///{file}") is None
    database.close()
    assert damage(f"sqlite:///{tmp_path}/none.db") is None and damage("http://127.0.0.1:5000") is None
