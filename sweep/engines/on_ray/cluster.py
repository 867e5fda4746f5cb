"""Ray: start it on this machine or join a cluster, check that a trial fits, and shut it down."""

import logging
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import ray

from sweep import imports
from sweep.config.compute import AUTO, Compute
from sweep.engines.on_ray import head, ray_internals, scratch_folders
from sweep.engines.on_ray.environment import FOR_TRIALS
from sweep.engines.on_ray.preconditions import refusal, submitted_as, temporary_folder
from sweep.engines.on_ray.raylet import watched
from sweep.engines.stop import in_main_thread
from sweep.errors import InputError
from sweep.trial import machine

START_SECONDS = 180.0  # for Ray to start or to answer; it takes seconds unless the machine is busy


@contextmanager
def connected(address: str | None) -> Iterator[Path]:
    """Connect to Ray; yields a scratch folder. Ray is shut down and the folder deleted afterwards.

    Raises:
        InputError: there is no Ray at ``address``, or it cannot start.
    """
    scratch_folders.clear(temporary_folder())
    scratch = scratch_folders.make(temporary_folder())
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with _own_signals(), _at_most(START_SECONDS):
            _connect(address, scratch)
        with watched():
            yield scratch
    finally:
        ray.shutdown()
        shutil.rmtree(scratch, ignore_errors=True)


def _connect(address: str | None, scratch: Path) -> None:
    quiet: dict[str, Any] = {
        "log_to_driver": False, "logging_level": "CRITICAL", "include_dashboard": False,
        # workers import our packages first: by default Ray puts the driver's working folder before them
        "job_config": ray_internals.job_with_path([] if imports.INSTALLED else [imports.ROOT]),
    }  # fmt: skip
    if address is None:
        try:
            ray.init(address="local", num_cpus=machine.cores(), **ray_internals.start_below(scratch / "ray"), **quiet)
        except Exception as error:  # of any of its processes
            raise refusal(_first_line(error)) from error
        return
    del quiet["include_dashboard"]
    try:
        ray.init(address=address, runtime_env={"env_vars": _variables_for_trials()}, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"--address {address}: no Ray cluster answers there ({_first_line(error)}); start one with"
            " 'ray up cluster.yaml', or leave --address out to use this machine"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:500] or type(error).__name__


def _variables_for_trials() -> dict[str, str]:
    """The environment variables of workers, but those that ``ray job submit`` set: Ray refuses to set one twice."""
    given = (submitted_as().get("runtime_env") or {}).get("env_vars") or {}
    return {name: value for name, value in FOR_TRIALS.items() if name not in given}


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our signal handlers: ray.init replaces the one of SIGTERM.

    Inside, this process and those that it starts ignore hang-ups, which reach all processes of a terminal.
    """
    if not in_main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside the block after so long. Outside the main thread it does nothing: no signals there."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it has not answered for {seconds:.0f} s")

    if not in_main_thread():
        yield
        return
    before, began = signal.signal(signal.SIGALRM, interrupt), time.monotonic()
    others, interval = signal.setitimer(signal.ITIMER_REAL, seconds)  # an alarm that was set before
    try:
        yield
    finally:
        left = max(0.001, others - (time.monotonic() - began)) if others else 0.0
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left, interval)


def check_room(compute: Compute, address: str | None) -> None:
    """Check that a trial fits on some node, also on those that an autoscaler would launch.

    Raises:
        InputError: naming the setting to change.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if address is not None:
        launchable = _launchable()
        if launchable is None:
            return
        nodes += launchable
    need = needed(compute)
    gpus, cpus = need.get("GPU", 0), compute.cpus_per_trial
    with_gpus = [node for node in nodes if node.get("GPU", 0) >= gpus]
    if any(node.get("CPU", 0) >= cpus for node in with_gpus):
        return
    whose = "this machine has" if address is None else "a node of the cluster has at most"
    if not with_gpus:
        fix = "" if address else ", --address runs on a cluster"
        raise InputError(
            f"compute.gpus_per_trial: a trial takes {gpus:g} GPU and {whose} {_most(nodes, 'GPU'):g}; "
            f"--set compute.gpus_per_trial=0 trains on the CPU{fix}"
        )
    most = int(_most(with_gpus, "CPU"))
    raise InputError(
        f"compute.cpus_per_trial: a trial takes {cpus} CPU cores and {whose} {most}; "
        f"--set compute.cpus_per_trial={max(most, 1)}"
    )


def needed(compute: Compute, share: float | None = None) -> dict[str, float]:
    """What a trial takes of a machine, in Ray's names. ``share``: of a GPU, where that was measured."""
    if share is None:  # where it is measured, one trial has a whole GPU for it
        share = 1.0 if compute.gpus_per_trial == AUTO else compute.gpus_per_trial
    return {"CPU": compute.cpus_per_trial} | ({"GPU": share} if share else {})


def _most(nodes: list[Mapping[str, float]], resource: str) -> float:
    return max((node.get(resource, 0) for node in nodes), default=0)


def _launchable() -> list[Mapping[str, float]] | None:
    """Resources of each kind of node that the cluster's autoscaler can launch; None if that cannot be known.

    Some platforms tell Ray; else the autoscaler's log on the head names its config.
    """
    if groups := ray_internals.node_groups():
        return [kind.resources for kind in groups if kind.most]
    log = head.read_log()
    return None if log is None else [kind.resources for kind in log.kinds if kind.most]
