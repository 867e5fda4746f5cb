"""Asking a sweep to stop: by the signals that there are, and in a thread that gets none."""

import os
import signal
import threading
from pathlib import Path

import pytest
from rich.console import Console

from sweep.config.config import read_sweep
from sweep.engines import Stop
from sweep.engines import inline as local
from sweep.launch.run import Summary, run_sweep

from ..small import DIGITS, QUICK

pytestmark = pytest.mark.slow  # launches, trainings or processes


def test_a_sweep_runs_in_a_thread(tmp_path: Path) -> None:
    settings = [
        *QUICK,
        "grid.method=magnitude",
        "training.epochs=1",
        "tracking.enabled=false",
        f"store={tmp_path}/results",
    ]
    sweep, ended = read_sweep(DIGITS, settings), list[Summary]()
    thread = threading.Thread(target=lambda: ended.append(run_sweep(sweep, local.run, Console(quiet=True))))
    thread.start()
    thread.join()
    assert [summary.exit_code for summary in ended] == [0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_to_stop_and_handlers_are_put_back(number: int) -> None:
    before, stop = signal.getsignal(number), Stop()
    with stop.listening():
        os.kill(os.getpid(), number)
        assert stop.requested and stop.signal == number
    assert signal.getsignal(number) is before


def test_hang_ups_that_are_ignored_stay_so() -> None:
    before, stop = signal.signal(signal.SIGHUP, signal.SIG_IGN), Stop()
    try:
        with stop.listening():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_after_a_hang_up_what_is_printed_to_the_terminal_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    stop = Stop()
    stop._terminals = [theirs]  # of the process: 1 and 2
    os.close(ours)
    with pytest.raises(OSError, match="Input/output error"):
        os.write(theirs, b"lost")
    stop.request(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert os.write(theirs, b"lost") == 4
    os.close(theirs)
