"""What the driver does: hands the trials to Tune, tells the watcher, and stops it all when asked to."""

import logging
import os
import pickle
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler

from sweep import imports
from sweep.config.config import SweepConfig
from sweep.config.grid import title, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines.on_ray.coordinator import LEAVE, MACHINES, open_desk
from sweep.engines.on_ray.coordinator import NODE_LOST as NODE_GIVEN_UP
from sweep.engines.on_ray.worker import Job, run_one
from sweep.engines.watching import Stop, Watcher
from sweep.errors import StoreError
from sweep.failures import NODE_LOST, WORKER_LOST
from sweep.records import EpochRecord, TrialRecord
from sweep.store.claims import Ledger
from sweep.trial.metrics import lost
from sweep.trial.run import AnyDataset
from sweep.trial.settings import RunSettings

logger = logging.getLogger(__name__)

# Ray's words, a traceback, and the line that ends it
_CANNOT_IMPORT = re.compile(r"failed to import on the worker.*?\n([A-Za-z][\w.]*): ([^\n]*)", re.DOTALL)
ANSWER_SECONDS = 5.0  # that the desk has to answer
TELL_SECONDS = 1.0  # between two requests to stop
CHUNK = 2000  # trials an experiment: the driver's work for each grows with their number


def drive(
    sweep: SweepConfig,
    trials: Sequence[TrialConfig],
    dataset: AnyDataset,
    ledger: Ledger,
    watch: Watcher,
    stop: Stop,
    scratch: Path,
) -> None:
    """Run the trials on the Ray that there is, which has room for them."""
    job = _job(sweep, ledger)
    # with_parameters puts the data set into the object store, which hands every machine one copy of it
    trainable = tune.with_resources(
        tune.with_parameters(run_one, job=job, dataset=dataset),
        {"cpu": sweep.compute.cpus_per_trial, "gpu": sweep.compute.gpus_per_trial},
    )
    for start in range(0, len(trials), CHUNK):
        chunk = {trial_id(trial): trial for trial in trials[start : start + CHUNK]}
        teller, halting = _Teller(chunk, job, watch, stop), _Halting(stop, job.desk)
        if not stop.requested:
            _fit(trainable, chunk, scratch / "tune", teller, halting, sweep.compute.max_failures)
        if not stop.requested:
            teller.account_for_the_rest()


def _job(sweep: SweepConfig, ledger: Ledger) -> Job:
    home = ray.get_runtime_context().get_node_id()
    return Job(
        settings=RunSettings.of(sweep, "cuda" if sweep.compute.gpus_per_trial else "cpu"),
        ledger=ledger,
        home=home,
        folder=os.getcwd(),
        path=imports.path(),
        desk=open_desk(ledger, sweep.compute.max_failures, home),
    )


def _fit(
    trainable: Any,
    trials: Mapping[str, TrialConfig],
    folder: Path,
    teller: "_Teller",
    scheduler: "_Halting",
    max_failures: int,
) -> None:
    """One Tune experiment over exactly these trials."""
    specs = [{"id": name, "pickled": pickle.dumps(trial)} for name, trial in trials.items()]
    tuner = tune.Tuner(
        trainable,
        param_space={"trial": tune.grid_search(specs)},
        tune_config=tune.TuneConfig(
            reuse_actors=True, scheduler=scheduler, trial_name_creator=_name, trial_dirname_creator=_name
        ),
        run_config=tune.RunConfig(
            name=next(iter(trials)),
            storage_path=str(folder),
            callbacks=[teller],
            # the desk tells what was lost with its machine, which does not count; Tune only has to come to an end
            failure_config=tune.FailureConfig(max_failures=max_failures + MACHINES + 1),
            verbose=0,
        ),
    )
    tuner.fit()


def _name(trial: Trial) -> str:
    return str(trial.config["trial"]["id"])


def _error(trial: Trial) -> BaseException:
    """What a trial was last lost by."""
    if trial.pickled_error_file is None:  # an error of Tune's own
        return RuntimeError(Path(trial.error_file).read_text())
    with open(trial.pickled_error_file, "rb") as file:
        error: BaseException = pickle.load(file)  # written by this very process
    return getattr(error, "cause", error)  # what was raised in the worker, if it was raised there


def _describe(error: BaseException) -> str:
    if isinstance(error, RayActorError):
        unimportable = _import_error(error)
        if unimportable:
            return f"a worker cannot import what this launch runs: {': '.join(unimportable)}"
        return "its process died or exited, or its machine: often memory (fewer trials at once, smaller batches)"
    return " ".join(str(error).split())[:1000]


def _import_error(error: BaseException) -> tuple[str, str] | None:
    """Type and message of the error by which a worker could not import our code, if that is what ended it."""
    found = _CANNOT_IMPORT.search(str(error)) if isinstance(error, RayActorError) else None
    return (found[1], found[2].strip()) if found else None


class _NotRestored:
    """Tune writes its helpers down to restore an experiment from; nobody does, and a watcher cannot be pickled."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


class _Teller(_NotRestored, TrialProgressCallback):
    """Tells the watcher what Tune tells us. Being of this class, it keeps Tune from adding one that prints."""

    def __init__(self, trials: Mapping[str, TrialConfig], job: Job, watch: Watcher, stop: Stop):
        self._trials, self._job, self._watch, self._stop = trials, job, watch, stop
        self._ended: set[str] = set()
        self._errors: dict[str, BaseException] = {}
        self._reasons: dict[str, str] = {}  # the same in a sentence

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial got its worker, perhaps not its first."""
        self._watch.started(self._trials[_name(trial)])

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A report: an epoch, or the end."""
        if "epoch" in result:
            self._watch.epoch(EpochRecord(**result["epoch"]))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ran to its end, was left alone, or was taken back before it began."""
        name, result = _name(trial), trial.last_result
        if "record" in result:
            self._finished(pickle.loads(result["record"]))  # written by our own worker
        elif "unstorable" in result:
            self._ended.add(name)
            self._stop.fail(StoreError(result["unstorable"]))
        elif result.get("left") == LEAVE:
            self._ended.add(name)
        elif "left" in result:
            kind = NODE_LOST if result["left"] == NODE_GIVEN_UP else WORKER_LOST
            error = self._errors.get(name) or RuntimeError(result["left"])
            self._lost(name, error, self._reasons.get(name) or _describe(error), kind)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial was lost and is going to start again."""
        name = _name(trial)
        self._errors[name] = _error(trial)
        self._reasons[name] = self._reason(name, self._errors[name])
        if _import_error(self._errors[name]):
            trial.max_failures = 0  # another worker will do no better
        logger.warning(f"{title(self._trials[name])}: {self._reasons[name]}; it starts again")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial was lost once more than it may be."""
        error = _error(trial)
        self._lost(_name(trial), error, self._reason(_name(trial), error))

    def account_for_the_rest(self) -> None:
        """Record trials as failed that Tune has lost without a word, at the end of an experiment."""
        for name in self._trials.keys() - self._ended:
            self._lost(name, RuntimeError("it ended without a record"), "it ended without a record")

    def _finished(self, record: TrialRecord) -> None:
        self._ended.add(record.trial_id)
        self._watch.finished(record)

    def _reason(self, name: str, error: BaseException) -> str:
        if isinstance(error, RayActorError) and not _import_error(error):
            with suppress(Exception):
                code = ray.get(self._job.desk.exit_code.remote(name), timeout=ANSWER_SECONDS)
                if code is not None:
                    return f"its process exited with code {code}"
        return _describe(error)

    def _lost(self, name: str, error: BaseException, reason: str, kind: str | None = None) -> None:
        """Store what there is to say of a trial that could not speak for itself."""
        unimportable = _import_error(error)
        usual = WORKER_LOST if isinstance(error, RayActorError) else type(error).__name__
        kind = unimportable[0] if unimportable else kind
        outcome = lost(
            self._trials[name],
            sweep=self._job.settings.sweep,
            cluster=self._job.settings.compute.cluster,
            error_type=kind or usual,
            error_message=reason,
            traceback=str(error)[-4000:],
        )
        try:
            self._finished(self._job.ledger.write(outcome))
        except StoreError as unstorable:
            self._stop.fail(unstorable)


class _Halting(_NotRestored, FIFOScheduler):
    """First come, first served; on request, nobody: waiting trials are taken back and running ones told."""

    def __init__(self, stop: Stop, desk: Any):
        super().__init__()
        self._stop, self._desk, self._tell = stop, desk, 0.0

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Asked many times a second."""
        if not self._stop.requested:
            return super().choose_trial_to_run(tune_controller)
        if time.monotonic() >= self._tell:  # time and again, since one that is started again has not heard it
            self._tell = time.monotonic() + TELL_SECONDS
            self._desk.stop.remote()
        for trial in tune_controller.get_trials():
            if trial.status == Trial.PENDING:
                tune_controller.stop_trial(trial)
        return None
