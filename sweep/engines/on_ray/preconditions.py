"""What Ray needs of this machine: without it, Ray fails with pages of output, or waits for minutes."""

import os
import socket
import sys
import tempfile
from pathlib import Path

from sweep.errors import InputError

ANSWER_SECONDS = 5.0


def temporary_folder() -> Path:
    """Where Ray's files go. A short path, because paths of unix sockets must be shorter than 108 characters."""
    return Path(os.environ.get("RAY_TMPDIR") or "/tmp")


def check(shared_memory: Path = Path("/dev/shm")) -> None:
    """Check that files and shared memory can be written and this machine's loopback address reached.

    Raises:
        InputError: naming what cannot be written to or reached.
    """
    _check_writable(temporary_folder(), "its files; name another folder with RAY_TMPDIR=DIR")
    if sys.platform == "linux":
        _check_writable(shared_memory, "its shared memory")
    _check_loopback()


def refusal(reason: str) -> InputError:
    """The error for a machine on which Ray cannot start."""
    return InputError(f"Ray cannot start on this machine: {reason}. --local runs without Ray")


def _check_writable(folder: Path, purpose: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise refusal(f"it cannot write to {folder} ({error.strerror}), for {purpose}") from None


def _check_loopback() -> None:
    """Ray's processes talk to each other over the network, even on one machine."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise refusal(f"its processes cannot reach each other at 127.0.0.1 ({error.strerror or error})") from None
