"""`sweep stop` and `sweep cancel`: what a launch does then, and what the commands say."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from sweep.config.config import read_sweep
from sweep.engines import choose
from sweep.launch import requests, running
from sweep.launch.run import ASKED_TO_END, Summary, run_sweep
from sweep.records import COMPLETED, INTERRUPTED
from sweep.store import Store
from sweep.store.leases import Launch, Leases

from ..small import DIGITS, QUICK, sweep
from ..store.helpers import wait_for

pytestmark = pytest.mark.slow  # trainings


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(requests, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.05)
    monkeypatch.chdir(tmp_path)


@contextmanager
def launched(*settings: str) -> Iterator[list[Summary]]:
    """Three trials that run in a thread, one after another; the list has the summary when the block ends."""
    config = read_sweep(DIGITS, [*QUICK, "grid.method=[magnitude, random, snip]", "tracking.enabled=false", *settings])
    ended = list[Summary]()
    with Path("output").open("w") as out:
        console = Console(file=out, width=1000)
        thread = threading.Thread(target=lambda: ended.append(run_sweep(config, choose(local=True), console)))
        thread.start()
        try:
            wait_for(lambda: Store("results").checkpoints())
            yield ended
        finally:
            thread.join()


def test_stop_lets_the_running_trial_end_and_starts_no_other() -> None:
    with launched("training.epochs=12") as ended:
        asked = sweep("stop", "digits", "--wait", "--json")
    assert asked.code == 0
    [summary] = ended
    assert (summary.ran, summary.statuses, summary.exit_code) == (1, {COMPLETED: 1, "missing": 2}, ASKED_TO_END)
    [launch] = json.loads(asked.out)["launches"]
    assert (launch["sweep"], launch["running"], launch["has_ended"]) == ("digits", 1, True)
    assert "starts no other trial; 1 runs on to its end" in asked.err and "has ended" in asked.err
    assert "no other trial starts" in Path("output").read_text()
    assert not Path("results/leases").exists()
    assert Path("results/reports/digits/summary.md").exists()


def test_cancel_interrupts_the_running_trial_with_a_checkpoint() -> None:
    with launched("training.epochs=100000") as ended:
        [launch] = Leases(Store("results").files).living()
        assert sweep("stop", launch.id).code == 0
        wait_for(lambda: "no other trial starts" in Path("output").read_text())
        assert re.search(r"run by process \d+ on \S+, asked to stop by ", sweep("status").out)
        assert sweep("cancel", "--wait").code == 0
    [summary] = ended
    assert (summary.statuses, summary.exit_code) == ({INTERRUPTED: 1, "missing": 2}, ASKED_TO_END)
    assert len(Store("results").checkpoints()) == 1
    again = sweep("cancel", "digits", "--json")
    assert (again.code, json.loads(again.out)["launches"]) == (0, [])
    assert "nothing to cancel: no launch of digits runs" in again.err


def test_a_launch_that_waits_for_another_ends_at_once_when_it_is_asked_to_stop() -> None:
    store = Store("results")
    config = read_sweep(DIGITS, [*QUICK, "grid.method=magnitude", "tracking.enabled=false"])
    from sweep.launch.plan import plan

    [name] = plan(config, store).todo
    ended = list[Summary]()
    with Leases(store.files, Launch("theirs")).held() as others:
        assert others.claim(name) is None
        console = Console(quiet=True)
        thread = threading.Thread(target=lambda: ended.append(run_sweep(config, choose(local=True), console)))
        thread.start()
        wait_for(lambda: any(launch.sweep == "digits" for launch in Leases(store.files).living()))
        assert sweep("stop", "digits", "--wait").code == 0
        thread.join()
    assert [(summary.ran, summary.exit_code) for summary in ended] == [(0, ASKED_TO_END)]


def test_a_sweep_that_is_not_there_is_bad_input() -> None:
    assert sweep("stop", "digits").code == 2
    Path("results").mkdir()
    asked = sweep("cancel", "digits")
    assert asked.code == 2 and "has no such sweep" in asked.err
    assert sweep("stop", "12345678").code == 0
    assert sweep("stop").out.startswith("nothing to stop: no launch runs in")
    assert list(Path("results").iterdir()) == []
