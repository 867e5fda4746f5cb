"""What a launch says while it runs."""

import io

import pytest
from rich.console import Console

from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.engines import Stop
from sweep.launch.progress import open_progress
from sweep.launch.run import run_sweep
from sweep.store import Store

from ...conftest import make_outcome
from ..small import DIGITS, QUICK


@pytest.fixture
def sweep(tmp_path):
    """A sweep of two trials, and its store."""
    settings = [*QUICK, "grid.method=[dense, snip]", "tracking.enabled=false", f"store={tmp_path / 'results'}"]
    return read_sweep(DIGITS, settings)


@pytest.mark.parametrize("terminal", [True, False])
def test_no_time_left_is_told_once_a_launch_is_to_stop(terminal, sweep):
    trials = {trial_id(trial): trial for trial in expand(sweep)}
    first, second = trials
    stop, console = Stop(), Console(file=io.StringIO(), force_terminal=terminal, width=100)
    progress = open_progress(trials, trials, Store(sweep.store), console, stop)
    for trial in trials.values():
        progress.started(trial)
    progress.finished(make_outcome(first, seconds=1.0).trial)
    assert " left" in progress.tally.headline().plain
    stop.signal = 2  # Ctrl-C
    assert progress.tally.headline().plain == "1/2 done · 1 running · stopping"
    before = console.file.getvalue()  # type: ignore[attr-defined]
    progress.finished(make_outcome(second, "interrupted", seconds=1.0).trial)
    assert progress.tally.headline().plain == "1/2 done · 0 running · 1 interrupted · stopped"
    assert " left" not in console.file.getvalue()[len(before) :]  # type: ignore[attr-defined]


def test_a_launch_does_not_wait_for_trials_that_another_has_just_ended(sweep):
    console = Console(file=io.StringIO(), width=200)

    def another_launch_runs_them(sweep, trials, claims, watch, stop):
        for trial in trials:
            Store(sweep.store).write(make_outcome(trial_id(trial)))

    assert run_sweep(sweep, another_launch_runs_them, console).statuses == {"completed": 2}
    assert "waiting" not in console.file.getvalue()  # type: ignore[attr-defined]
    assert console.file.getvalue().count("test accuracy 90.00 %") == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("terminal", [True, False])
def test_trials_that_wait_are_counted_and_told_why_once(terminal, sweep):
    trials = {trial_id(trial): trial for trial in expand(sweep)}
    stop, console = Stop(), Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with open_progress(trials, trials, Store(sweep.store), console, stop) as progress:
        for _ in range(3):
            progress.waiting("no machine is free")
        assert progress.tally.waiting_line == "2 trials wait: no machine is free"
        progress.started(next(iter(trials.values())))
        assert progress.tally.waiting_line == "1 trial waits: no machine is free"
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "no machine is free" in said if terminal else said == "2 trials wait: no machine is free\n"
    stop.signal = 2
    assert progress.tally.waiting_line == "", "none is going to start"


def test_another_reason_is_told_after_a_while(sweep, monkeypatch):
    from sweep.launch.progress import lines

    trials = {trial_id(trial): trial for trial in expand(sweep)}
    console = Console(file=io.StringIO(), width=100)
    progress = open_progress(trials, trials, Store(sweep.store), console, Stop())
    now = [1000.0]
    monkeypatch.setattr(lines.time, "monotonic", lambda: now[0])
    for reason in ("asked", "refused", "refused"):
        now[0] += 15
        progress.waiting(reason)
    assert console.file.getvalue() == "2 trials wait: asked\n2 trials wait: refused\n"  # type: ignore[attr-defined]
