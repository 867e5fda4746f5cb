"""The engine in this process, one trial after another: for debugging, a borrowed GPU, and unit tests."""

from collections.abc import Sequence

import torch

from sweep.config.config import SweepConfig
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines.preparing import reading
from sweep.engines.stop import Stop
from sweep.engines.watcher import Display
from sweep.errors import GpuError, InputError
from sweep.records import INTERRUPTED
from sweep.store.claims import Claims
from sweep.text import store_option
from sweep.trial import machine
from sweep.trial.attempts import renew, run_attempts
from sweep.trial.run import AnyDataset, load_data
from sweep.trial.settings import RunSettings
from training import allocator


def run(sweep: SweepConfig, trials: Sequence[TrialConfig], claims: Claims, watcher: Display, stop: Stop) -> None:
    """Run ``trials`` in this process, in order. Each has the whole GPU, whatever ``compute.gpus_per_trial`` says.

    A trial that leaves the GPU unusable in this process ends the sweep.

    Raises:
        InputError: the trials need a GPU and there is none, or more cores than there are.
        StoreError: the store cannot be written to.
    """
    settings = RunSettings.of(sweep, check_device(sweep))
    if settings.device == "cpu":
        torch.set_num_threads(sweep.compute.cpus_per_trial)
    dataset: AnyDataset | None = None
    allocator.keep_freed_memory()
    for trial in trials:
        if not stop.may_start:
            return
        if not renew():
            see = f"sweep failures{store_option(claims.store.name)}"
            stop.fail(GpuError(f"a failed trial has left the GPU unusable in this process (see {see})"))
            return
        if not claims.take(trial_id(trial)):
            continue
        if dataset is None:  # read only when there is a trial to run
            watcher.preparing(reading(sweep.data))
            dataset = load_data(sweep)
        watcher.started(trial)
        outcome = run_attempts(
            trial,
            dataset,
            settings,
            on_epoch=watcher.epoch,
            on_stage=watcher.stage,
            stopping=lambda: stop.requested,
            checkpoints=claims,
        )
        watcher.finished(claims.write(outcome))
        if outcome.trial.status == INTERRUPTED:
            return


def check_device(sweep: SweepConfig, jobs: int = 1) -> str:
    """The device of the trials, "cuda" or "cpu", after checking that this machine has it for ``jobs`` of them at once.

    Starts no CUDA context.

    Raises:
        InputError: the trials need a GPU and there is none, or more cores than there are.
    """
    if sweep.compute.gpus_per_trial:
        if not torch.cuda.is_available():
            raise InputError(
                "compute.gpus_per_trial: this machine has no GPU; --set compute.gpus_per_trial=0 trains on the CPU"
            )
        return "cuda"
    needed, cores = sweep.compute.cpus_per_trial, machine.cores()
    if needed > cores:
        raise InputError(f"compute.cpus_per_trial: {needed}, but this process may use only {cores} cores; set it lower")
    if jobs * needed > cores:
        raise InputError(
            f"--jobs {jobs}: with compute.cpus_per_trial={needed} these take {jobs * needed} of the {cores} cores that"
            f" this process may use; --jobs {cores // needed} fits"
        )
    return "cpu"
