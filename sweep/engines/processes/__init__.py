"""The engine on this machine with several trials at once, each in one of N worker processes: for a GPU that one trial
does not fill, where Ray is not installed, and for one trial per core.

worker.py    what runs in a worker process
process.py   a worker process as the parent sees it
pool.py      all workers of a sweep, and the trials that are left

Workers live for the whole sweep: one import, one CUDA context and one copy of the images for all their trials. The
parent hands out trials and stores what comes back; it starts neither CUDA nor torch threads. Each worker has its own
pipe and shares nothing with the others, so killing one cannot block another. Messages:

    to a worker     its WorkerSetup, then trials one by one, and None: no more trials, interrupt the running one
    from a worker   None: ready; for each trial an EpochRecord per epoch and its Outcome, or a StoreError

Workers save checkpoints themselves: they reach the store as the parent does.
"""

import multiprocessing
from collections.abc import Sequence
from contextlib import ExitStack, closing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext

from sweep import imports
from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.engines import mps
from sweep.engines.inline import check_device
from sweep.engines.processes import worker
from sweep.engines.processes.pool import Pool
from sweep.engines.stop import Stop
from sweep.engines.watcher import Watcher
from sweep.store.claims import Claims
from sweep.trial.run import load_data
from sweep.trial.settings import RunSettings


def run(
    sweep: SweepConfig, trials: Sequence[TrialConfig], claims: Claims, watcher: Watcher, stop: Stop, *, jobs: int
) -> None:
    """Run ``trials`` on this machine, ``jobs`` at once, spread evenly over its GPUs, whatever share the config gives.

    In a script, call it below ``if __name__ == "__main__":``, because workers import the script.

    Raises:
        InputError: the trials need a GPU and there is none, or more cores than there are, or workers cannot start, or
            ``compute.mps`` is on and the service cannot start.
    """
    if not trials:
        return
    device = check_device(sweep, jobs)
    context = _context()
    with ExitStack() as stack:
        for_mps = stack.enter_context(mps.service()) if sweep.compute.mps and device == "cuda" else {}
        setup = worker.WorkerSetup(
            environment={**imports.variables(), **for_mps},
            settings=RunSettings.of(sweep, device),
            claims=claims,
            dataset=load_data(sweep),
        )
        pool = stack.enter_context(closing(Pool(context, setup, trials, watcher, stop)))
        pool.run(jobs)


def _context() -> ForkServerContext | SpawnContext:
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
