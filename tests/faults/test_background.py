"""`sweep launch --detach`: it goes on without its terminal, and is watched and ended from outside."""

import json
import os
import tempfile
from pathlib import Path

import pytest

from sweep.errors import InputError
from sweep.launch.background import Background

from .conftest import Lab

pytestmark = pytest.mark.slow
RIGL = ["launch", "faults.yaml", "--local", "--set", "grid.method={name: rigl, every: 5}"]


@pytest.fixture(autouse=True)
def logs(lab: Lab) -> Path:
    """The folder of logs."""
    lab.environment["XDG_STATE_HOME"] = str(lab.folder / "state")
    return lab.folder / "state/sweep/logs"


def test_a_detached_launch_goes_on_without_its_terminal_until_it_is_told_to_end(lab: Lab, logs: Path) -> None:
    started = json.loads(lab.run(*RIGL, "--detach", "--json", "--set", "training.epochs=1000"))
    pid, log = started["pid"], Path(started["log"])
    assert log.parent == logs and (started["sweep"], started["store"]) == ("faults", str(lab.folder / "results"))
    assert os.getsid(pid) == pid, "a session of its own, which no terminal hangs up"
    assert [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)] == ["/dev/null", str(log), str(log)]
    assert f"run by process {pid}" in lab.run("status")
    assert "saves a checkpoint" in lab.run("cancel", started["launch"], "--wait")
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
    assert "sweep cancel by" in log.read_text() and "1 interrupted, 1 missing" in log.read_text()
    assert json.loads(lab.run("status", "--json")) == {"faults": {"interrupted": 1, "missing": 1}}


def test_what_ends_before_it_is_in_the_background_says_so_here(lab: Lab, logs: Path) -> None:
    assert lab.run(*RIGL, "--detach", "--set", "training.epochs=x", code=2).startswith("error: --set training.epochs")
    lab.run(*RIGL, "--set", "training.epochs=1")
    nothing = [*RIGL, "--set", "training.epochs=1", "--detach"]
    assert "nothing to run, all 2 trials are completed" in lab.run(*nothing)
    assert json.loads(lab.run(*nothing, "--json").splitlines()[0])["completed"] == 2
    assert list(logs.iterdir()) == []


def test_where_no_log_can_be_written_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/none")
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    with pytest.raises(InputError, match="--detach: no log can be written to /proc/none/sweep/logs or"):
        Background("faults")
