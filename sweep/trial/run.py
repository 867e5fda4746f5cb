"""Run a trial: a config in, records out. It can be called from a notebook and knows nothing of engines."""

from collections.abc import Callable

from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.errors import StoreError
from sweep.records import COMPLETED, DIVERGED, FAILED, INTERRUPTED, EpochRecord, Outcome, TrialRecord
from sweep.trial import provenance
from sweep.trial.callbacks import Callbacks, Interrupted
from sweep.trial.checkpoints import Checkpointer, CheckpointStore, NoCheckpoints
from sweep.trial.dataset import load_data
from sweep.trial.experiment import Experiment
from sweep.trial.preemptions import Preemptions
from sweep.trial.progress import Progress
from sweep.trial.record_fields import RecordFields, config_fields, error_fields
from sweep.trial.settings import DEFAULTS, RunSettings
from sweep.trial.setup import AnyDataset
from sweep.trial.stage import Stage
from training import loop

__all__ = ["AnyDataset", "Interrupted", "load_data", "run_trial"]


def run_trial(
    trial: TrialConfig,
    dataset: AnyDataset | None = None,
    settings: RunSettings = DEFAULTS,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    on_stage: Callable[[Stage], None] = lambda stage: None,
    stopping: Callable[[], bool] = lambda: False,
    checkpoints: CheckpointStore | None = None,
    accumulate: int | None = None,
    attempt: int = 1,
    preemptions: Preemptions | None = None,
) -> Outcome:
    """Run one trial to its end. Errors inside do not raise: the outcome records the failure.

    Args:
        trial: what to run.
        dataset: ``training.data.load(trial.data)``, if it is loaded already.
        settings: how to run it. :func:`sweep.trial.attempts.run_attempts` repeats failed trials; the process sets its
            number of threads.
        on_epoch: called after every epoch; may raise :class:`Interrupted`.
        on_stage: called with how far the trial is, at most once a second.
        stopping: called after every step and round; true stops the trial there, with a checkpoint, as interrupted.
        checkpoints: where to look for a checkpoint to continue from, and where to save new ones.
        accumulate: micro-batches a step, instead of the config's: the same batch in more pieces, for less memory.
        attempt: the number of this attempt, where no checkpoint knows of more.
        preemptions: counts how often the trial's machine was taken away, where the engine knows.

    Raises:
        StoreError: a checkpoint cannot be written.
    """
    device, compute = settings.device, settings.compute
    has_peak = provenance.reset_peak_memory(device)
    progress = Progress(trial_id(trial), attempt, accumulate, preemptions)
    store = NoCheckpoints() if checkpoints is None else checkpoints  # an empty store may be false
    checkpointer = Checkpointer(store, progress.trial_id, compute.checkpoint_minutes)
    ending: RecordFields = {"status": COMPLETED}
    try:
        images = load_data(trial) if dataset is None else dataset
        checkpoint = checkpointer.load(images.fingerprint)
        if checkpoint:
            progress.count_attempts(checkpoint)
        Experiment(
            trial,
            images,
            settings,
            progress=progress,
            checkpointer=checkpointer,
            callbacks=Callbacks(on_epoch, stopping, on_stage),
        ).run(checkpoint)
    except StoreError:
        raise
    except (Interrupted, KeyboardInterrupt):
        ending = {"status": INTERRUPTED}
    except BaseException as error:  # every failure becomes a record here, that of sys.exit() in a method too
        ending = {"status": DIVERGED if isinstance(error, loop.Diverged) else FAILED, **error_fields(error)}
    fields = config_fields(trial) | progress.record_fields() | provenance.machine_fields(device, has_peak) | ending
    record = TrialRecord(**fields, gpu_share=settings.gpu_share, cluster=compute.cluster, sweep=settings.sweep)
    return Outcome(record, tuple(progress.epochs), tuple(progress.masks), tuple(progress.weights))
