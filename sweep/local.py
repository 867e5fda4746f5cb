"""The same trials in this process, one after another: for debugging, a borrowed GPU, and unit tests."""

import functools
import gc
import os
from collections.abc import Sequence

import torch

from sweep.config import SweepConfig, TrialConfig
from sweep.errors import InputError
from sweep.records import INTERRUPTED, EpochRecord
from sweep.store import Store
from sweep.trial import Interrupted, load_data, run_trial
from sweep.watch import Stop, Watcher
from training import allocator


def run(sweep: SweepConfig, trials: Sequence[TrialConfig], store: Store, watch: Watcher, stop: Stop) -> None:
    """Run ``trials`` here, in order. The GPU is used whole, whatever share the config gives a trial.

    Raises:
        InputError: a GPU is asked for and there is none, or more cores than there are.
    """
    device = check_device(sweep)
    if device == "cpu":
        torch.set_num_threads(sweep.compute.cpus_per_trial)
    dataset = load_data(sweep)
    allocator.keep_freed_memory()

    def on_epoch(record: EpochRecord) -> None:
        watch.epoch(record)
        if stop.requested:
            raise Interrupted

    for trial in trials:
        watch.started(trial)
        outcome = run_trial(
            trial,
            dataset,
            device=device,
            sweep=sweep.name,
            cluster=sweep.compute.cluster,
            compact=sweep.compute.compact,
            on_epoch=on_epoch,
        )
        watch.finished(store.write(outcome))
        if stop.requested or outcome.trial.status == INTERRUPTED:
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
    each, cores = sweep.compute.cpus_per_trial, os.cpu_count() or 1
    if each > cores:
        raise InputError(f"compute.cpus_per_trial: {each} of {cores} cores; set it lower")
    if jobs * each > cores:
        raise InputError(
            f"--jobs {jobs}: so many trials at once take {jobs * each} of {cores} cores, by"
            f" compute.cpus_per_trial={each}; --jobs {cores // each} fits"
        )
    return "cpu"


def renew() -> None:
    """Make a process that has run trials before as good as new."""
    _settle()
    gc.collect()
    allocator.give_back()
    if torch.cuda.is_initialized():
        try:
            torch.cuda.synchronize()
        except RuntimeError:  # a broken CUDA context never heals: whoever hands out trials is to start another process
            os._exit(1)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


@functools.cache
def _settle() -> None:
    """Once a process: leave what imports have made out of all later collections, which it made last 0.2 s each."""
    gc.freeze()
