"""What Ray needs of this machine: without it, Ray fails with pages of output, or waits for minutes."""

import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

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


def check_store(folder: Path | None) -> None:
    """Check that the store outlives the launch: Ray deletes the working folder of a job that was submitted to it.

    Raises:
        InputError: it is a folder in that one.
    """
    has_folder = bool((submitted_as().get("runtime_env") or {}).get("working_dir"))
    if has_folder and folder is not None and folder.resolve().is_relative_to(Path.cwd()):
        raise InputError(
            f"store: {folder} is in the working folder of this job, which Ray deletes when the job ends; name a bucket"
            " or a folder elsewhere with --store"
        )


def submitted_as() -> dict[str, Any]:
    """How ``ray job submit`` described the job that this process runs; empty for a process that it did not start."""
    job: dict[str, Any] = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    return job


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
