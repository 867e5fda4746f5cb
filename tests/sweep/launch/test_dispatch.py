"""A launch that has nothing to run itself: it starts no engine, and its engines read no data."""

import socket
import threading
from pathlib import Path

import pytest
from rich.console import Console

from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand, trial_id
from sweep.engines import Stop, Watchers
from sweep.engines import inline as local
from sweep.launch import dispatch, run
from sweep.records import Outcome, TrialRecord
from sweep.store import Store
from sweep.store.claims import Claims
from sweep.store.leases import Leases
from sweep.trial.record_fields import config_fields

from ..small import DIGITS, QUICK


@pytest.fixture
def sweep(tmp_path: Path) -> SweepConfig:
    """Of one trial."""
    off = ["tracking.enabled=false", f"store={tmp_path / 'results'}"]
    return read_sweep(DIGITS, [*QUICK, "grid.method=magnitude", "training.epochs=1", *off])


def test_no_engine_starts_for_what_another_launch_runs(sweep: SweepConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "LOOK_SECONDS", 0.05)
    store, [trial] = Store(sweep.store), expand(sweep)
    started = list[object]()
    with Leases(store.files).held() as others:
        other = Claims(store, others, {})
        assert other.take(trial_id(trial))
        outcome = Outcome(TrialRecord(**config_fields(trial), sweep="digits", status="completed"))
        threading.Timer(0.5, lambda: other.write(outcome)).start()
        summary = run.run_sweep(sweep, lambda *arguments: started.append(arguments), Console(quiet=True))
    assert (started, summary.exit_code, summary.ran) == ([], 0, 0)


def test_no_data_is_read_for_what_another_launch_runs(sweep: SweepConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "load_data", lambda config: pytest.fail("read"))
    store, [trial] = Store(sweep.store), expand(sweep)
    with Leases(store.files).held() as others, Leases(store.files).held() as mine:
        assert Claims(store, others, {}).take(trial_id(trial))
        local.run(sweep, [trial], Claims(store, mine, {}), Watchers([]), Stop())
    assert store.statuses() == {}


def test_records_name_this_host_where_no_cluster_is_named(sweep: SweepConfig) -> None:
    store = Store(sweep.store)
    local.run(sweep, expand(sweep), Claims.alone(store), Watchers([]), Stop())
    assert store.trials()["cluster"].to_pylist() == [socket.gethostname()]
