"""A trial: a config in, records out. Callable from a notebook; knows nothing of where it runs."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pruning
from sweep.config.config import SweepConfig
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.errors import InputError, StoreError
from sweep.records import COMPLETED, DIVERGED, FAILED, INTERRUPTED, EpochRecord, Outcome, TrialRecord
from sweep.trial import metrics as recording
from sweep.trial import provenance
from sweep.trial.checkpoints import Keeper, Nowhere, Place, State
from sweep.trial.experiment import AnyDataset, Interrupted, Science
from sweep.trial.settings import DEFAULTS, RunSettings
from training import data, loop

__all__ = ["AnyDataset", "Interrupted", "load_data", "run_trial"]


def run_trial(
    trial: TrialConfig,
    dataset: AnyDataset | None = None,
    settings: RunSettings = DEFAULTS,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    stopping: Callable[[], bool] = lambda: False,
    checkpoints: Place | None = None,
    accumulate: int | None = None,
    attempt: int = 1,
) -> Outcome:
    """Run one trial to its end. Never raises for what goes wrong inside: failure is a record.

    Args:
        trial: what to run.
        dataset: ``training.data.load(trial.data)``, where it is at hand already.
        settings: how to run it. Failures are the business of :func:`sweep.trial.attempts.run_attempts`, and threads
            that of the process.
        on_epoch: told after every epoch; may raise :class:`Interrupted`.
        stopping: asked after every step and round whether to stop: there, with a checkpoint, as interrupted.
        checkpoints: where there may be one to go on from, and where further ones go.
        accumulate: micro-batches a step, for memory that holds no more: the same batch, but in pieces.
        attempt: which one this is, where it is not told by a checkpoint.

    Raises:
        StoreError: a checkpoint cannot be written.
    """
    device, compute = settings.device, settings.compute
    has_peak = provenance.reset_peak_memory(device)
    begin, started = time.perf_counter(), datetime.now(UTC)

    def history(saved: State | None) -> State:
        """Of this attempt and those before it, from whose checkpoint it went on."""
        seconds, now = time.perf_counter() - begin, {"started": started.isoformat(), "attempts": attempt}
        before = saved or {**now, "attempts": attempt - 1, "seconds": 0.0}
        return {
            "started": before["started"],
            "seconds": before["seconds"] + seconds,
            "attempts": max(before["attempts"] + 1, attempt),
        }

    place = Nowhere() if checkpoints is None else checkpoints  # one that is empty may count as False
    keeper = Keeper(place, trial_id(trial), compute.checkpoint_minutes)
    science = Science(
        trial, keeper, device, compact=compute.compact, graphs=compute.graphs, accumulate=accumulate,
        stopping=stopping, history=history,
    )  # fmt: skip
    facts: dict[str, Any] = {"status": COMPLETED}
    try:
        science.run(load_data(trial) if dataset is None else dataset, on_epoch)
    except StoreError:
        raise
    except (Interrupted, KeyboardInterrupt):
        facts["status"] = INTERRUPTED
    except BaseException as error:  # the one place where a failure becomes a record, and be it that of sys.exit()
        facts |= {"status": DIVERGED if isinstance(error, loop.Diverged) else FAILED, **recording.failure(error)}
    so_far = history(science.saved)
    facts |= {
        **provenance.facts(device, has_peak),
        **so_far,
        "started": datetime.fromisoformat(so_far["started"]),
        "accumulate": science.accumulate,
        "cluster": compute.cluster,
        "sweep": settings.sweep,
    }
    record = TrialRecord(**{**recording.describe(trial), **science.facts, **recording.fit(science.epochs), **facts})
    return Outcome(record, tuple(science.epochs), tuple(science.masks))


def load_data(config: SweepConfig | TrialConfig) -> AnyDataset:
    """The images of a sweep or trial, once it is sure that there are enough of them for what is asked.

    Raises:
        DataError: the data cannot be read.
        InputError: more images are held out, or drawn for pruning, than there are.
    """
    dataset, settings = data.load(config.data), config.pruning
    try:
        left = len(data.split(dataset, config.data, 0, "cpu").train)
    except ValueError as error:
        raise InputError(f"data.{error}") from None
    asked = settings.batches * settings.batch_size
    if asked > left:
        raise InputError(
            f"pruning.batch_size: a round draws {asked} images, and {left} are there to train on; lower it"
        )
    if settings.sampling == "balanced":
        _check_balanced(config, dataset)
    return dataset


def _check_balanced(config: SweepConfig | TrialConfig, dataset: AnyDataset) -> None:
    """Make sure that each seed leaves enough images of each class for the balanced draws of every method."""
    settings = config.pruning
    methods = (config.method,) if isinstance(config, TrialConfig) else config.grid.method
    seeds = (config.seed,) if isinstance(config, TrialConfig) else config.grid.seed
    needed = max(pruning.find(m.name).batches(pruning.find(m.name).options | dict(m.options)) for m in methods)
    draws = [settings.batches * settings.batch_size]
    if needed > settings.batches:  # further batches are drawn one by one
        draws.append(settings.batch_size)
    for seed in seeds:
        sizes = data.training_class_sizes(dataset, config.data, seed)
        sizes = sizes[sizes > 0]
        smallest, classes = int(sizes.min()), len(sizes)
        for count in draws:
            if count % classes or count > smallest * classes:
                each = min(max(1, round(settings.batch_size / classes)), smallest // settings.batches)
                raise InputError(
                    f"pruning.batch_size: sampling is balanced, and {count} images cannot be drawn equally from"
                    f" {classes} classes of {smallest} images and more (seed {seed});"
                    f" set {f'it to {each * classes}' if each else 'pruning.sampling=random'}"
                )
