"""The same trials in this process, one after another: for debugging, a borrowed GPU, and unit tests."""

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
        InputError: a GPU is asked for and there is none.
    """
    device = "cuda" if sweep.compute.gpus_per_trial else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "compute.gpus_per_trial: this machine has no GPU; --set compute.gpus_per_trial=0 trains on the CPU"
        )
    if device == "cpu":
        torch.set_num_threads(sweep.compute.cpus_per_trial)
        if sweep.compute.cpus_per_trial > (cores := os.cpu_count() or 1):
            raise InputError(f"compute.cpus_per_trial: {sweep.compute.cpus_per_trial} of {cores} cores; set it lower")
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
