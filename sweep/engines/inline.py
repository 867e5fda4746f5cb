"""The same trials in this process, one after another: for debugging, a borrowed GPU, and unit tests."""

from collections.abc import Sequence

import torch

from sweep.config.config import SweepConfig
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines.watching import Stop, Watcher
from sweep.errors import GpuError, InputError
from sweep.records import INTERRUPTED
from sweep.store.claims import Ledger
from sweep.text import store_option
from sweep.trial import machine
from sweep.trial.attempts import renew, run_attempts
from sweep.trial.run import AnyDataset, load_data
from sweep.trial.settings import RunSettings
from training import allocator


def run(sweep: SweepConfig, trials: Sequence[TrialConfig], ledger: Ledger, watch: Watcher, stop: Stop) -> None:
    """Run ``trials`` here, in order. The GPU is used whole, whatever share the config gives a trial.

    Raises:
        InputError: a GPU is asked for and there is none, or more cores than there are.
        StoreError: the store is full or gone.
    """
    settings = RunSettings.of(sweep, check_device(sweep))
    if settings.device == "cpu":
        torch.set_num_threads(sweep.compute.cpus_per_trial)
    dataset: AnyDataset | None = None
    allocator.keep_freed_memory()
    for trial in trials:
        if stop.requested:
            return
        if not renew():
            see = f"sweep failures{store_option(ledger.store.name)}"
            stop.fail(GpuError(f"a failed trial has broken what this process has of the GPU (see {see})"))
            return
        if not ledger.take(trial_id(trial)):
            continue
        if dataset is None:  # not before there is a trial to run
            dataset = load_data(sweep)
        watch.started(trial)
        outcome = run_attempts(
            trial,
            dataset,
            settings,
            on_epoch=watch.epoch,
            stopping=lambda: stop.requested,
            checkpoints=ledger,
        )
        watch.finished(ledger.write(outcome))
        if outcome.trial.status == INTERRUPTED:
            return


def check_device(sweep: SweepConfig, jobs: int = 1) -> str:
    """What trials run on, "cuda" or "cpu", if this machine has it for ``jobs`` of them at once. Starts no CUDA.

    Raises:
        InputError: a GPU is asked for and there is none, or more cores than there are.
    """
    if sweep.compute.gpus_per_trial:
        if not torch.cuda.is_available():
            raise InputError(
                "compute.gpus_per_trial: this machine has no GPU; --set compute.gpus_per_trial=0 trains on the CPU"
            )
        return "cuda"
    each, cores = sweep.compute.cpus_per_trial, machine.cores()
    if each > cores:
        raise InputError(f"compute.cpus_per_trial: {each} of the {cores} cores that this process may use; set it lower")
    if jobs * each > cores:
        raise InputError(
            f"--jobs {jobs}: so many trials at once take {jobs * each} of the {cores} cores that this process may use,"
            f" by compute.cpus_per_trial={each}; --jobs {cores // each} fits"
        )
    return "cpu"
