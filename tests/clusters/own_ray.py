"""A Ray that the pages' commands start, apart from every other on this machine."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class OwnRay:
    """Where its files are, and the port of its head."""

    folder: Path
    port: int

    def localised(self, command: str) -> str:
        """The command for this machine, where other Rays may run: with a free port, and the head's address."""
        local = command.replace("6379", str(self.port)).replace("HEAD", "127.0.0.1")
        if "--head" in local:
            local += " --node-ip-address=127.0.0.1 --include-dashboard=false"
        elif "ray start" in local:
            local += " --node-ip-address=127.0.0.1"
        return local


@contextlib.contextmanager
def own_ray(patch: pytest.MonkeyPatch) -> Iterator[OwnRay]:
    """Ray's folder, and a home folder for its token. All its processes are ended."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # a short name: Ray puts sockets there
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        patch.delenv(name, raising=False)
    patch.setenv("RAY_TMPDIR", str(folder))
    patch.setenv("HOME", str(folder))
    patch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    try:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        yield OwnRay(folder, port)
    finally:
        for process in _processes(str(folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _processes(mark: str) -> list[int]:
    """Processes with this text in their command line or environment, but for this one."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if mark.encode() in told:
                    found.append(int(entry.name))
    return found
