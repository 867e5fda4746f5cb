"""NVIDIA's Multi-Process Service (MPS): processes that share a GPU use it at the same time instead of in turns.

Its daemon is started in a folder of its own and stopped at the end; the GPU's settings stay as they are. All clients of
a daemon share one GPU context: a trial that leaves it unusable takes the running trials of the other processes along,
and those start again.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sweep.errors import InputError
from sweep.store.leases import Launch

DAEMON = "nvidia-cuda-mps-control"
ELSEWHERE = ("/usr/local/nvidia/bin", "/usr/local/cuda/bin")  # besides PATH
SECONDS = 20.0  # for the daemon to start or to stop
PREFIX, OWNER = "mps-sweep-", "owner.json"
_PIPES, _LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"


@contextmanager
def service() -> Iterator[dict[str, str]]:
    """Run the daemon; yields the environment variables with which a process becomes its client.

    Set them before the process uses CUDA. Daemons of launches that were killed are stopped first.

    Raises:
        InputError: the daemon is missing or does not start.
    """
    daemon = shutil.which(DAEMON, path=os.pathsep.join([os.environ.get("PATH", ""), *ELSEWHERE]))
    if daemon is None:
        raise _refusal(f"{DAEMON} is not on the PATH; it is part of NVIDIA's driver for Linux")
    _stop_abandoned(daemon)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))  # short: a socket's path is at most 107 bytes long
    try:
        (folder / OWNER).write_text(Launch().to_json())
        variables = _variables(folder)
        for name in variables.values():
            Path(name).mkdir()
        _start(daemon, variables)
        try:
            yield variables
        finally:
            _quit(daemon, variables)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def environment(enabled: bool) -> Iterator[None]:
    """Run the daemon, if enabled, for the processes that this one starts inside: they inherit the variables."""
    if not enabled:
        yield
        return
    with service() as variables:
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def log_tail(variables: Mapping[str, str], lines: int = 6) -> str:
    """The last lines of the logs of the daemon and of its server."""
    tails = []
    for log in sorted(Path(variables[_LOGS]).glob("*.log")):
        tails += [f"{log.name}: {line}" for line in log.read_text(errors="replace").splitlines()[-lines:]]
    return "\n".join(tails)


def _variables(folder: Path) -> dict[str, str]:
    return {_PIPES: str(folder / "pipes"), _LOGS: str(folder / "logs")}


def _start(daemon: str, variables: Mapping[str, str]) -> None:
    with tempfile.TemporaryFile() as output:  # not a pipe, which the daemon would keep open
        try:
            started = subprocess.run(
                [daemon, "-d"], env={**os.environ, **variables}, stdout=output, stderr=output, timeout=SECONDS
            )
            status = f"exit status {started.returncode}" if started.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            status = str(error)
        output.seek(0)
        printed = output.read().decode(errors="replace").strip()
    if status:
        details = " ".join(filter(None, [printed, log_tail(variables)]))
        raise _refusal(f"{daemon} -d does not start: {status}: {details or 'no output'}")


def _quit(daemon: str, variables: Mapping[str, str]) -> None:
    with suppress(OSError, subprocess.TimeoutExpired):
        environment = {**os.environ, **variables}
        subprocess.run([daemon], input=b"quit -t 5\n", env=environment, capture_output=True, timeout=SECONDS)


def _stop_abandoned(daemon: str) -> None:
    """Stop the daemons of launches on this machine that have ended without doing so."""
    for file in Path("/tmp").glob(f"{PREFIX}*/{OWNER}"):
        try:
            owner = Launch.from_json(file.read_text())
        except (OSError, ValueError):  # just removed, or another user's
            continue
        if owner.is_here and owner.has_died:
            _quit(daemon, _variables(file.parent))
            shutil.rmtree(file.parent, ignore_errors=True)


def _refusal(reason: str) -> InputError:
    return InputError(f"compute.mps: {reason}. --set compute.mps=off lets processes take turns on a GPU")
