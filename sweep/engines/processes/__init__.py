"""The engine on this machine with several trials at once, each in one of N worker processes: for a GPU that one trial
does not fill, where Ray is not installed, and for one trial per core.

worker.py    what runs in a worker process
process.py   a worker process as the parent sees it
pool.py      all workers of a sweep, and the trials that are left
starting.py  how workers are forked, and how many run at once
calibrating.py  workers that time pieces of trials, for a plan
probing.py   a process that measures what a trial takes of a GPU, before the workers start

Workers live for the whole sweep: one import, one CUDA context and one copy of the images for all their trials. The
parent hands out trials and stores what comes back; it starts neither CUDA nor torch threads. Each worker has its own
pipe and shares nothing with the others, so killing one cannot block another. Messages:

    to a worker     its WorkerSetup, then trials one by one, and None: no more trials, interrupt the running one
    from a worker   None: ready; for each trial Stages, an EpochRecord per epoch and its Outcome, or a StoreError

Workers save checkpoints themselves: they reach the store as the parent does.
"""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Literal

from sweep import imports
from sweep.config.compute import AUTO
from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.engines import mps
from sweep.engines.inline import check_device
from sweep.engines.preparing import reading
from sweep.engines.processes.pool import Pool
from sweep.engines.processes.starting import gpu_share, process_context, trials_at_once
from sweep.engines.processes.worker import WorkerSetup
from sweep.engines.stop import Stop
from sweep.engines.watcher import Display
from sweep.store.claims import Claims
from sweep.trial.run import load_data
from sweep.trial.settings import RunSettings


def run(
    sweep: SweepConfig,
    trials: Sequence[TrialConfig],
    claims: Claims,
    watcher: Display,
    stop: Stop,
    *,
    jobs: int | Literal["auto"],
) -> None:
    """Run ``trials`` on this machine, ``jobs`` at once, spread evenly over its GPUs, whatever share the config gives.

    "auto": as many at once as ``compute.cpus_per_trial`` and ``compute.gpus_per_trial`` allow; where the latter is
    "auto" too, the architecture of which fewest trials fit on a GPU decides.

    In a script, call it below ``if __name__ == "__main__":``, because workers import the script.

    Raises:
        InputError: the trials need a GPU and there is none, or more cores than there are, or workers cannot start, or
            ``compute.mps`` is on and the service cannot start.
    """
    if not trials:
        return
    device = check_device(sweep, 1 if jobs == AUTO else jobs)
    context = process_context()
    watcher.preparing(f"starting processes, {reading(sweep.data)}")
    with ExitStack() as stack:
        for_mps = stack.enter_context(mps.service()) if sweep.compute.mps and device == "cuda" else {}
        setup = WorkerSetup(
            environment={**imports.variables(), **for_mps},
            settings=RunSettings.of(sweep, device),
            dataset=load_data(sweep),
            claims=claims,
        )
        watcher.prepared()
        if jobs == AUTO:
            jobs = trials_at_once(context, setup, sweep, trials, claims.store, watcher.preparing, stop)
        if not stop.may_start:
            return
        setup = replace(setup, settings=replace(setup.settings, gpu_share=gpu_share(device, jobs)))
        pool = stack.enter_context(closing(Pool(context, setup, trials, watcher, stop)))
        pool.run(jobs)
