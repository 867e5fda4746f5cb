"""MLflow away: a sweep whose tracking server is killed at a third of it, beside one whose server lives."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from benchmarks.measure import Row, Setup, cost_of
from sweep.tracking import ui_command

SWEEP = {
    "name": "away",
    "data": "digits",
    "grid": {"architecture": "vgg_digits", "method": ["snip", "random"], "sparsity": [0.9, 0.99], "seed": [0, 1, 2]},
    "training": {"epochs": 10},
}
THIRD = "[4/12]"  # of twelve trials, as progress is told


def run(setup: Setup) -> Iterator[Row]:
    """The one row: three pairs of whole sweeps."""
    if setup.device == "cpu":
        name = (
            "sweep of 12 trials, MLflow's server killed and its port black-holed at a third, beside one with it alive"
        )
        pairs = [(sweep(killed=True), sweep(killed=False)) for _ in range(3)]
        yield cost_of("mirror", name, pairs, at_most=1.10)


def sweep(killed: bool) -> float:
    """Seconds of a launch, in a folder and with a server of its own."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), _free_port()
        (folder / "away.yaml").write_text(yaml.safe_dump(SWEEP), encoding="utf-8")
        server = stack.enter_context(_server(folder, port))
        command = [str(Path(sys.executable).with_name("sweep")), "launch", "away.yaml", "--local"]
        command += ["--set", f"tracking.uri=http://127.0.0.1:{port}"]
        start = time.perf_counter()
        launch = stack.enter_context(
            subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        assert launch.stdout is not None
        for line in launch.stdout:
            if killed and line.startswith(THIRD):
                _kill(server)
                stack.enter_context(_black_hole(port))
        assert launch.wait() == 0
        return time.perf_counter() - start


@contextmanager
def _server(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command, out = ui_command(f"sqlite:///{folder / 'mlflow.db'}", port=port), subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, start_new_session=True)
    try:
        while process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield process
    finally:
        _kill(process)


def _kill(server: "subprocess.Popen[bytes]") -> None:
    """All of its processes, at once."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@contextmanager
def _black_hole(port: int) -> Iterator[None]:
    """Something that takes connections on a port and never answers."""
    with socket.socket() as hole:
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while True:
            try:
                hole.bind(("127.0.0.1", port))
                break
            except OSError:  # the kernel has not yet noticed that the server is gone
                time.sleep(0.01)
        hole.listen(128)
        yield


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
