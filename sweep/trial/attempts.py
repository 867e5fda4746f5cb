"""Attempts: a trial run until it ends well, or often enough."""

import gc
import logging
import os
from collections.abc import Callable

import torch

import pruning
from sweep import collector
from sweep.config.grid import title
from sweep.config.trial_config import TrialConfig
from sweep.failures import HOST_MEMORY, OUT_OF_MEMORY, kind, may_pass
from sweep.records import FAILED, EpochRecord, Outcome, TrialRecord
from sweep.trial.checkpoints import CheckpointStore
from sweep.trial.preemptions import Preemptions
from sweep.trial.run import AnyDataset, run_trial
from sweep.trial.settings import DEFAULTS, RunSettings
from sweep.trial.stage import Stage
from training import allocator
from training.pieces import most_pieces

logger = logging.getLogger(__name__)


def renew() -> bool:
    """Make a process that has run trials before as good as new. Whether that was possible: a broken GPU stays so."""
    gc.collect()  # before it settles: what a failed trial has left, the GPU's memory with it, would stay for good
    collector.collect_as_usual()
    allocator.give_back()
    if torch.cuda.is_initialized():
        try:
            torch.cuda.synchronize()
        except RuntimeError:  # a broken CUDA context never heals
            return False
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return True


def renew_or_end() -> bool:
    """The same for a worker process: whoever hands out trials starts another one in its place."""
    return renew() or os._exit(1)


def run_attempts(
    trial: TrialConfig,
    dataset: AnyDataset,
    settings: RunSettings = DEFAULTS,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    on_stage: Callable[[Stage], None] = lambda stage: None,
    stopping: Callable[[], bool] = lambda: False,
    checkpoints: CheckpointStore | None = None,
    ready: Callable[[], bool] = renew,
    preemptions: Preemptions | None = None,
) -> Outcome:
    """:func:`sweep.trial.run.run_trial`, repeated after a failure; each attempt starts from the last checkpoint.

    A failed trial runs again at most ``settings.compute.max_failures`` times, and not after the same failure twice in a
    row. Where training ran out of GPU memory, the next attempt splits each batch into twice as many pieces, down to two
    images each; that does not count as a failure.

    Args:
        trial, dataset, settings, on_epoch, on_stage, stopping, checkpoints, preemptions: as ``run_trial`` takes them.
        ready: prepares this process for the next attempt. False if that is impossible: then the failure is returned.
    """
    before, pieces, attempt, failures = None, None, 1, 0
    while True:
        outcome = run_trial(
            trial, dataset, settings, on_epoch=on_epoch, on_stage=on_stage, stopping=stopping,
            checkpoints=checkpoints, accumulate=pieces, attempt=attempt, preemptions=preemptions,
        )  # fmt: skip
        record = outcome.trial
        if record.status != FAILED:
            return outcome
        smaller = _more_pieces(trial, record)
        if smaller is None:
            failures += 1
            if failures > settings.compute.max_failures or not may_pass(record, before):
                return outcome
            how = "it is tried again"
        else:
            how, pieces = f"it goes on with batches in {smaller} pieces", smaller
        if not ready():
            return outcome
        logger.warning(f"{title(trial)}: {record.error_type}: {_short(record.error_message)}; {how}")
        before, attempt = record, attempt + 1


def _more_pieces(trial: TrialConfig, record: TrialRecord) -> int | None:
    """In how many pieces to take a batch that had no room; None where that was not the trouble, or cannot be mended."""
    if kind(record) != OUT_OF_MEMORY or record.error_type in HOST_MEMORY or not _was_training(trial, record):
        return None
    pieces, most = record.accumulate or trial.training.accumulate, most_pieces(trial.training.batch_size)
    return min(2 * pieces, most) if pieces < most else None


def _was_training(trial: TrialConfig, record: TrialRecord) -> bool:
    """Whether a trial failed between its pruning and its test, both of which take no batches in pieces."""
    method, options = pruning.find(trial.method.name), dict(trial.method.options)
    return record.trained_weights is not None and record.epochs < method.rehearse(options, trial.training.epochs)


def _short(message: str | None) -> str:
    return " ".join((message or "").split())[:300]
