"""The address of a cluster, checked in seconds before anything else: Ray itself would try for minutes."""

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

from sweep import imports
from sweep.engines.on_ray import environment
from sweep.errors import InputError

AUTO = "auto"
ANSWER_SECONDS = 10  # for a cluster to answer
_STARTED_SECONDS = 180.0  # for a process to import Ray on a busy machine
_SUBMIT = "'ray job submit --address http://HOST:8265 -- sweep launch CONFIG --address auto' runs the launch there"


def check(address: str) -> None:
    """Check that a Ray of our version answers at ``address`` and lets this machine in, as one of its nodes.

    Raises:
        InputError: it does not, and why.
    """
    _check_form(address)
    environment.prepare(address)  # ray reads it while it is imported
    answer = _ask(address)
    if error := answer.get("error"):
        raise InputError(f"--address {address}: {_why(error, answer['kind'])}")
    ours, theirs = [f"Ray {answer[whose]['ray']} on Python {answer[whose]['python']}" for whose in ("ours", "theirs")]
    if ours != theirs:
        raise InputError(
            f"--address {address}: the cluster at {answer['at']} runs {theirs}, and this process {ours}; install the"
            " same versions on all machines"
        )
    if not answer["is_node"]:
        raise InputError(
            f"--address {address}: this machine is no node of the cluster at {answer['at']}; launch on one of its"
            f" machines. From elsewhere, {_SUBMIT}"
        )


def _check_form(address: str) -> None:
    """Check what needs no network."""
    named = f"--address {address}"
    if address == AUTO and os.environ.get("RAY_ADDRESS"):  # which Ray prefers
        address = os.environ["RAY_ADDRESS"]
        named = f"RAY_ADDRESS={address}"
    port = re.fullmatch(r"(?:[^:\s]+|\[[0-9a-fA-F:]+\]):(\d{1,5})", address)
    if address == AUTO or (port and 0 < int(port[1]) < 65536):
        return
    if address.startswith("ray://"):
        why = f"ray:// is for interactive use; on a machine of the cluster name 'auto'. From elsewhere, {_SUBMIT}"
    elif "://" in address:
        why = f"this is the address of a dashboard; on a machine of the cluster name 'auto'. From elsewhere, {_SUBMIT}"
    elif address == "local":
        why = "leave --address out to use this machine alone"
    else:
        why = "name HOST:PORT, such as HOST:6379, or 'auto' on a machine of the cluster"
    raise InputError(f"{named}: {why}")


def _ask(address: str) -> dict[str, Any]:
    """What :mod:`sweep.engines.on_ray.ask_cluster` prints: a cluster, or an error and its kind."""
    with imports.for_new_processes():
        asked = subprocess.Popen(
            [sys.executable, "-m", "sweep.engines.on_ray.ask_cluster", address, str(ANSWER_SECONDS)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    try:
        printed, errors = asked.communicate(timeout=_STARTED_SECONDS)
    except subprocess.TimeoutExpired:
        return {"error": f"it could not be asked within {_STARTED_SECONDS:.0f} s", "kind": "Timeout"}
    finally:
        asked.kill()
        asked.wait()
    if asked.returncode == -signal.SIGALRM:
        return {"error": f"nothing within {ANSWER_SECONDS} s", "kind": "NoAnswer"}
    try:
        answer: dict[str, Any] = json.loads(printed.splitlines()[-1])
    except (ValueError, IndexError):
        last_line = errors.strip().rpartition("\n")[2][:500]
        return {"error": last_line or f"exit code {asked.returncode}", "kind": "Died"}
    return answer


def _why(error: str, kind: str) -> str:
    """What is wrong, from an error and its kind, and how to fix it."""
    if kind == "AuthenticationError":
        return (
            "the cluster asks for a token, and this machine has none or another one; copy ~/.ray/auth_token of its head"
            " to this machine, or set RAY_AUTH_TOKEN"
        )
    if kind in ("NoAnswer", "RpcError"):
        return (
            f"what listens there does not answer as the head of a Ray cluster does ({error}); its port is 6379, unless"
            " 'ray start --port' named another"
        )
    return (
        f"no Ray cluster answers there ({error}); start one with 'ray up cluster.yaml', or leave --address out to use"
        " this machine"
    )
