"""A launch that ends: its store is folded where many trials are in files of their own, and its report drawn."""

import threading
from pathlib import Path

import pytest

from sweep.errors import StoreError
from sweep.store import Store, folding
from sweep.store.leases import Leases

from ..small import sweep

pytestmark = pytest.mark.slow  # launches, trainings or processes

CONFIG = """
name: own
data: digits
grid: {architecture: "small_networks:network", method: random, sparsity: 0.5, seed: [0, 1, 2]}
pruning: {batch_size: 37}
training: {epochs: 1, batch_size: 512}
tracking: {enabled: false}
"""


@pytest.fixture
def launch(folder, monkeypatch):
    """Launches a sweep of three trials; two are many."""
    monkeypatch.setattr(folding, "MANY", 2)
    return lambda *arguments: sweep("launch", "own.yaml", "--local", *arguments)


def test_a_launch_that_ends_folds_many_small_files_and_says_so(launch):
    result = launch("--set", "grid.seed=0")
    assert (result.code, "folding" in result.out, len(Store("results").loose("trials"))) == (0, False, 1)
    result = launch()
    assert (result.code, result.out.count("folding the many small files")) == (0, 1)
    store = Store("results")
    assert store.loose("trials") == store.loose("epochs") == store.loose("masks") == []
    assert set(store.statuses().values()) == {"completed"} and len(store.statuses()) == 3
    again = launch()
    assert (again.code, "folding" in again.out, "nothing to run" in again.out) == (0, False, True)


def test_a_checkpoint_that_a_killed_process_left_goes_unless_its_trial_runs_again(launch):
    launch()
    store = Store("results")
    left, runs, _ = sorted(store.completed())
    for name in (left, runs):
        store.save_checkpoint(name, b"")
    with Leases(store.files).held() as leases:  # another launch, that runs one again
        assert leases.claim(runs) is None
        assert launch().code == 0
        assert store.checkpoints() == {runs}


def test_readers_and_another_launch_go_on_meanwhile(launch, monkeypatch):
    launch("--set", "grid.seed=0,1")
    store, ended, seen = Store("results"), threading.Event(), set()

    def read():
        while not ended.is_set():
            seen.add(tuple(sorted(store.statuses().values())))
            store.masks()

    reader = threading.Thread(target=read)
    reader.start()
    with Leases(Store("results").files).held():  # another launch lives
        assert launch().code == 0
    ended.set()
    reader.join()
    assert seen <= {("completed",) * 2, ("completed",) * 3}


@pytest.mark.parametrize("error", [StoreError("the disk is full"), MemoryError("none left"), KeyboardInterrupt()])
def test_a_folding_that_fails_or_is_stopped_fails_no_launch_that_has_ended(launch, monkeypatch, error):
    def fail(self):
        raise error

    monkeypatch.setattr(folding._Folding, "_delete", fail)
    result = launch()
    assert (result.code, "not folded, the store is as it was" in result.out) == (0, True)
    assert len(Store("results").loose("trials")) == 3


def test_status_names_the_command_that_folds(launch, monkeypatch):
    monkeypatch.setattr(folding, "MANY", 9)
    launch()
    assert "sweep compact" not in sweep("status").out
    monkeypatch.setattr(folding, "MANY", 2)
    assert "Many small files make this slow: sweep compact" in sweep("status").out


def test_a_launch_with_tracking_off_draws_its_report(launch):
    assert launch().code == 0
    assert {"summary.md", "trials.csv"} <= {path.name for path in Path("results/reports/own").iterdir()}
    assert not Path("results/mlflow.db").exists()
