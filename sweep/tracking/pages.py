"""MLflow's pages on the runs of a store: links to its sweeps, and the server that shows them until Ctrl-C."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from sweep.errors import InputError
from sweep.store import Store
from sweep.tracking.artifacts import set_all_locations
from sweep.tracking.client import Client, MlflowUnavailable
from sweep.tracking.stored_sweep import StoredSweep, stored_sweeps, trial_configs
from sweep.tracking.sweep_export import SweepExport
from sweep.tracking.uri import check_place, is_in_store, sqlite_file
from sweep.tracking.views import Link

START_SECONDS = 120.0  # to wait for the server's first answer
STOP_SECONDS = 10.0
# what a healthy server says: how it was started, that it starts and ends, and its migrations of the database
_NOISE = re.compile(r".*\b(INFO|DEBUG)\b|\[MLflow\] Security middleware enabled|Registry store URI not provided|\s*$")


def sweep_links(store: Store, uri: str, name: str | None = None) -> dict[str, list[Link]]:
    """Links to the views of each sweep that a database has, the one launched last first.

    Sets what the links need in the database. One that cannot be written to is shown as it is.

    Args:
        store: with the sweeps.
        uri: of the SQLite database.
        name: of the only sweep to link to.

    Raises:
        InputError: no such sweep.
    """
    check_place(uri, store)
    database = sqlite_file(uri)
    sweeps = sorted(stored_sweeps(store), key=_launched, reverse=True)
    if database is not None:
        set_all_locations(database, owned={sweep.name for sweep in sweeps} if is_in_store(uri, store) else ())
    client = Client(uri)
    present = {experiment.name for experiment in client.search_experiments()}
    known = [sweep for sweep in sweeps if sweep.name in present]
    chosen = [sweep for sweep in known if name in (None, sweep.name)]
    if name is not None and not chosen:
        raise InputError(f"--sweep {name}: not in MLflow, which has: {', '.join(s.name for s in known) or 'none'}")
    links: dict[str, list[Link]] = {}
    for sweep in chosen:
        with contextlib.suppress(MlflowUnavailable):
            links[sweep.name] = SweepExport(sweep.name, trial_configs(sweep.rows), store, client).set_views()
    return links


def serve(command: Sequence[str], address: str, on_ready: Callable[[], None]) -> int:
    """Run MLflow's server until it ends or this process is told to. What it says of its own affairs is not shown.

    Args:
        command: of :func:`sweep.tracking.uri.ui_command`.
        address: at which it answers.
        on_ready: called once it does.

    Returns:
        Its exit code; 0 after Ctrl-C.
    """
    with _server(command) as server:
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None and not _answers(address) and time.monotonic() < deadline:
            time.sleep(0.1)
        if server.poll() is None:
            on_ready()
        return server.wait()


@contextmanager
def _server(command: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """The server, in a process group that is ended with the block, also by Ctrl-C, SIGTERM and SIGHUP."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
    )
    assert server.stderr is not None
    reader = threading.Thread(target=_show, args=(server.stderr,), name="mlflow", daemon=True)
    reader.start()
    try:
        yield server
    finally:
        _end(server)
        reader.join(1.0)
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _show(lines: IO[str]) -> None:
    for line in lines:
        if not _NOISE.match(line):
            sys.stderr.write(line)
            sys.stderr.flush()


def _end(server: "subprocess.Popen[str]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):  # its children may outlive it
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2):
            return True
    except (OSError, urllib.error.HTTPError):
        return False


def _launched(sweep: StoredSweep) -> float:
    return sweep.record.launched.timestamp() if sweep.record else 0.0
