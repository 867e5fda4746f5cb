"""What runs in a worker process: one trial after another."""

import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import torch

from sweep import imports, streams
from sweep.config.trial_config import TrialConfig
from sweep.engines.sharing.probe import probe
from sweep.errors import StoreError
from sweep.records import Outcome
from sweep.store.claims import Claims
from sweep.trial.attempts import renew_or_end, run_attempts
from sweep.trial.run import AnyDataset
from sweep.trial.settings import RunSettings
from sweep.trial.timing import NotTimed, Timing, timing
from training import allocator

DISCONNECTED = (EOFError, BrokenPipeError, ConnectionResetError)  # raised by a pipe whose other end is closed


@dataclass(frozen=True)
class ProcessSetup:
    """What all trials of a sweep share, and the environment variables that a process sets."""

    environment: dict[str, str | None]
    settings: RunSettings
    dataset: AnyDataset


@dataclass(frozen=True)
class WorkerSetup(ProcessSetup):
    """The same, and where trials save their checkpoints."""

    claims: Claims


def work(pipe: Connection, slot: int) -> None:
    """Run the trials that come through ``pipe`` until None comes. ``slot`` decides which GPU."""
    _obey_parent()
    with streams.tolerant(), suppress(*DISCONNECTED):
        setup: WorkerSetup = pipe.recv()
        settings = replace(setup.settings, device=_prepare(setup, slot))
        pipe.send(None)
        while (trial := pipe.recv()) is not None:
            renew_or_end()
            pipe.send(_run(trial, setup, settings, pipe))


def measure(pipe: Connection) -> None:
    """Answer the requests of :mod:`sweep.engines.sharing.probe` that come through ``pipe``, one by one, and end."""
    _obey_parent()
    with streams.tolerant(), suppress(*DISCONNECTED):
        setup, requests = pipe.recv()
        _prepare(setup, slot=0)
        for answer in probe(requests, setup.dataset, setup.settings):
            pipe.send(answer)


def time_pieces(pipe: Connection, slot: int) -> None:
    """Time pieces of the trials that come through ``pipe`` until it is closed; why one cannot be timed is an answer."""
    _obey_parent()
    with streams.tolerant(), suppress(*DISCONNECTED):
        setup: ProcessSetup = pipe.recv()
        settings = replace(setup.settings, device=_prepare(setup, slot))
        pipe.send(None)
        while True:
            trial = pipe.recv()
            renew_or_end()
            pipe.send(_timed(trial, setup.dataset, settings))


def _timed(trial: TrialConfig, dataset: AnyDataset, settings: RunSettings) -> Timing | str:
    try:
        return timing(trial, dataset, settings)
    except NotTimed as error:
        return str(error)
    except BaseException as error:  # a network or a method of the user's may raise anything; its trials will tell
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _obey_parent() -> None:
    """Leave signals, which are sent to the whole process group, to the parent, and end when it ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this process when its parent ends, in the middle of a trial too."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a child
    parent.join()
    os._exit(1)


def _prepare(setup: ProcessSetup, slot: int) -> str:
    """Set up a new process. Returns the device of its trials."""
    # otherwise its own children, which decode images, would start as it was started itself: slow, and left behind
    multiprocessing.set_start_method(None, force=True)
    imports.restore(setup.environment)
    torch.set_num_threads(setup.settings.compute.cpus_per_trial)
    allocator.keep_freed_memory()
    if setup.settings.device == "cpu":
        return "cpu"
    device = f"cuda:{slot % torch.cuda.device_count()}"
    torch.cuda.set_device(device)  # otherwise calls that name no device would start a second context on the first GPU
    return device


def _run(trial: TrialConfig, setup: WorkerSetup, settings: RunSettings, pipe: Connection) -> Outcome | StoreError:
    try:
        return run_attempts(
            trial,
            setup.dataset,
            settings,
            ready=renew_or_end,
            on_epoch=pipe.send,
            on_stage=pipe.send,
            stopping=pipe.poll,  # during a trial only the end can come
            checkpoints=setup.claims,
        )
    except StoreError as error:
        return error
