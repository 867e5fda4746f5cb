"""What comes before worker processes start: how they are forked, and how many run at once."""

import logging
import math
import multiprocessing
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext

import torch

from sweep import imports
from sweep.config.compute import AUTO
from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.engines.capacity import capacity
from sweep.engines.processes import probing, worker
from sweep.engines.processes.worker import ProcessSetup
from sweep.engines.sharing.decide import decide
from sweep.engines.stop import Stop
from sweep.store import Store
from sweep.trial import machine

logger = logging.getLogger("sweep.engines.processes")


def process_context() -> ForkServerContext | SpawnContext:
    """How workers start: forked off a process that has only imported torch; spawned where there is no forking.

    That process starts importing at once, and ends with this one.
    """
    imports.put_root_first()
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([worker.__name__])
    with imports.for_new_processes():
        forkserver.ensure_running()
    return context


def trials_at_once(
    context: ForkServerContext | SpawnContext,
    setup: ProcessSetup,
    sweep: SweepConfig,
    trials: Sequence[TrialConfig],
    store: Store,
    preparing: Callable[[str], None],
    stop: Stop,
) -> int:
    """How many trials run at once on this machine: as many as cores and GPUs allow, which may have to be measured."""
    share = None
    if sweep.compute.gpus_per_trial == AUTO:
        decided = decide(sweep, trials, store, partial(probing.measure, context, setup, stop), preparing)
        share = max(sharing.share for sharing in decided.values())
    room = capacity(sweep.compute, machine.cores(), torch.cuda.device_count(), share)
    if room is None:
        return max(1, machine.cores() // sweep.compute.cpus_per_trial)
    logger.warning(f"trials: {room.text}")
    return max(1, room.trials)


def gpu_share(device: str, jobs: int) -> float | None:
    """Of a GPU for each of so many trials at once, where they are spread evenly; None on a CPU."""
    return None if device == "cpu" else 1 / math.ceil(jobs / max(1, torch.cuda.device_count()))
