"""NVIDIA's Multi-Process Service: kernels of several processes run on one GPU at the same time instead of in turns."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DAEMON = "nvidia-cuda-mps-control"
ELSEWHERE = ("/usr/local/nvidia/bin", "/usr/local/cuda/bin")  # beside the PATH
SECONDS = 20.0  # that it may take to start or to stop


class Unavailable(RuntimeError):
    """The daemon is missing or does not start; the message says which, and what it printed."""


@contextmanager
def service() -> Iterator[dict[str, str]]:
    """Run the daemon in a folder of its own; the environment that processes need to be its clients.

    The GPU's settings stay as they are.

    Raises:
        Unavailable: it cannot be started.
    """
    daemon = shutil.which(DAEMON, path=os.pathsep.join([os.environ.get("PATH", ""), *ELSEWHERE]))
    if daemon is None:
        raise Unavailable(f"{DAEMON} is not on the PATH; it comes with NVIDIA's driver")
    with tempfile.TemporaryDirectory(prefix="mps-", ignore_cleanup_errors=True) as folder:
        pipes, logs = Path(folder, "pipes"), Path(folder, "logs")
        pipes.mkdir()
        logs.mkdir()
        environment = {"CUDA_MPS_PIPE_DIRECTORY": str(pipes), "CUDA_MPS_LOG_DIRECTORY": str(logs)}
        _start(daemon, environment)
        try:
            yield environment
        finally:
            _quit(daemon, environment)


def _start(daemon: str, environment: dict[str, str]) -> None:
    with tempfile.TemporaryFile() as output:  # no pipe: the daemon would keep it open
        try:
            started = subprocess.run(
                [daemon, "-d"], env=os.environ | environment, stdout=output, stderr=output, timeout=SECONDS
            )
            status = f"exit status {started.returncode}" if started.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            status = str(error)
        output.seek(0)
        said = output.read().decode(errors="replace").strip()
    if status:
        raise Unavailable(f"{daemon} -d: {status}: {said or 'no output'} {log_tail(environment)}".rstrip())


def _quit(daemon: str, environment: dict[str, str]) -> None:
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [daemon], input=b"quit -t 5\n", env=os.environ | environment, capture_output=True, timeout=SECONDS
        )


def log_tail(environment: dict[str, str], lines: int = 6) -> str:
    """The last lines of the daemon's and the server's logs."""
    tails = []
    for log in sorted(Path(environment["CUDA_MPS_LOG_DIRECTORY"]).glob("*.log")):
        tails += [f"{log.name}: {line}" for line in log.read_text(errors="replace").splitlines()[-lines:]]
    return "\n".join(tails)
