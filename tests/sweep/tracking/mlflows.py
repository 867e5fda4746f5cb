"""Real MLflow servers and databases for tests: started, killed, hung, and read past all of MLflow's code."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweep.tracking import mlflow_run, ui_command
from sweep.tracking.uri import sqlite_uri


def copy(empty: Path, file: Path) -> Path:
    """A database of its own, where making one would take seconds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(empty.read_bytes())
    return file


def shown(database: Path, experiment: str = "away") -> dict[str, list[dict[str, Any]]]:
    """What the runs that are not deleted show of each trial, past all of MLflow's code."""
    with contextlib.closing(sqlite3.connect(database)) as connection:

        def pairs(table: str, run: str) -> dict[str, str]:
            return dict(connection.execute(f"select key, value from {table} where run_uuid = ?", (run,)))

        found: dict[str, list[dict[str, Any]]] = {}
        for run, status, start, end in connection.execute(
            "select run_uuid, status, start_time, end_time from runs join experiments using (experiment_id)"
            " where runs.lifecycle_stage = 'active' and experiments.name = ?",
            (experiment,),
        ).fetchall():
            tags = pairs("tags", run)
            metrics = "select key, value, step, timestamp, is_nan from metrics where run_uuid = ?"
            found.setdefault(tags.get("sweep.trial_id", "the sweep"), []).append(
                {
                    "run": run,
                    "status": status,
                    "times": (start, end),
                    "tags": {
                        name: value
                        for name, value in tags.items()
                        if name not in (mlflow_run.EXPORTER, mlflow_run.BEGAN)
                    },
                    "params": pairs("params", run),
                    "metrics": set(connection.execute(metrics, (run,))),
                }
            )
    return found


def once_each(database: Path, experiment: str = "away") -> dict[str, dict[str, Any]]:
    """The same where there is one run a trial, and one of the sweep; without what names the run."""
    found = shown(database, experiment)
    assert {name: len(each) for name, each in found.items()} == dict.fromkeys(found, 1)
    own = found.pop("the sweep")
    assert own[0]["status"] == "FINISHED"
    return {name: {key: each[key] for key in each if key != "run"} for name, (each,) in found.items()}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """`mlflow server`, as `sweep ui` starts it."""

    def __init__(self, database: Path, port: int):
        self.uri = f"http://127.0.0.1:{port}"
        command = ui_command(sqlite_uri(database), port=port)
        out = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd=database.parent,  # where it puts artifacts
        )

    def __enter__(self) -> "Server":
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return self
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)

    def kill(self) -> None:
        """All of its processes, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __exit__(self, *error: object) -> None:
        self.kill()


@contextlib.contextmanager
def black_hole(port: int, full: bool = False) -> Iterator[None]:
    """Something that listens and never answers; ``full``: that does not even take connections any more."""
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 10
        while True:
            try:
                hole.bind(("127.0.0.1", port))
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        hole.listen(0 if full else 128)
        for _ in range(8 if full else 0):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield
