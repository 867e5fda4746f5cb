"""The callback: passes Tune's events to the watcher, and records trials that were lost with their worker."""

import logging
import pickle
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError, RayError
from ray.tune.experiment import Trial

from sweep.config.grid import title
from sweep.config.trial_config import TrialConfig
from sweep.engines.on_ray.coordinator import LEAVE, MACHINES, Loss, News
from sweep.engines.on_ray.coordinator import NODE_LOST as NODE_GIVEN_UP
from sweep.engines.on_ray.lookout import Lookout
from sweep.engines.on_ray.not_restored import NotRestored
from sweep.engines.on_ray.worker import MachineTakenAway, RayWorkerSetup
from sweep.engines.stop import Stop
from sweep.engines.watcher import Display
from sweep.errors import InputError, StoreError
from sweep.failures import NODE_LOST, WORKER_LOST
from sweep.records import EpochRecord, TrialRecord
from sweep.trial.record_fields import failed_outcome

logger = logging.getLogger("sweep.engines.on_ray")

# Ray's words, a traceback, and the line that ends it
_CANNOT_IMPORT = re.compile(r"failed to import on the worker.*?\n([A-Za-z][\w.]*): ([^\n]*)", re.DOTALL)
ANSWER_SECONDS = 5.0  # for the coordinator to answer
NEWS_SECONDS = 1.0  # between two questions to it for news
SILENT_SECONDS = 60.0  # after which a coordinator that does not answer is worth a line


def name_of(trial: Trial) -> str:
    """The id of our trial that a trial of Tune runs."""
    return str(trial.config["trial"]["id"])


class TuneCallback(NotRestored, tune.Callback):
    """Passes Tune's events to the watcher."""

    def __init__(
        self,
        trials: Mapping[str, TrialConfig],
        setup: RayWorkerSetup,
        watcher: Display,
        stop: Stop,
        lookout: Lookout,
    ):
        self._trials, self._setup, self._watcher, self._stop = trials, setup, watcher, stop
        self._lookout = lookout
        self._ended: set[str] = set()
        self._errors: dict[str, BaseException] = {}  # by trial: the error that ended its last worker
        self._reasons: dict[str, str] = {}  # the same as a sentence
        self._preemptions: dict[str, int] = {}  # by trial, where there are any
        self._unclear: set[str] = set()  # trials that lost their process, or their machine
        self._news: ray.ObjectRef | None = None  # the coordinator's answer, once it is there
        self._ask = self._tell = 0.0

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tune has handled an event, or waited for one in vain: pass on what workers say. Waits for nothing."""
        now = time.monotonic()
        if now >= self._tell:
            self._tell = now + NEWS_SECONDS
            self._watcher.waiting(self._lookout.reason)
        if self._news is None:
            if now >= self._ask:
                self._ask = now + NEWS_SECONDS
                self._news = self._setup.coordinator.news.remote()
            return
        if now - self._ask > SILENT_SECONDS:
            self._ask = now
            logger.warning(
                f"the coordinator on this machine has not answered for {SILENT_SECONDS:.0f} s: trials wait for it; its"
                " process may lack memory, or the store may not answer"
            )
        if ray.wait([self._news], timeout=0)[0]:
            answer, self._news = self._news, None
            with suppress(RayError):  # a coordinator that is being restarted has no answer
                self._pass_on(ray.get(answer))

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """All trials have ended: pass on what workers have said since the last answer."""
        for answer in (self._news, self._setup.coordinator.news.remote()):
            if answer is not None:
                with suppress(RayError):
                    self._pass_on(ray.get(answer, timeout=ANSWER_SECONDS))
        self._news = None

    def _pass_on(self, news: News) -> None:
        for name, times in news.preemptions.items():
            self._count_preemptions(name, times)
        for remark in news.remarks:
            logger.warning(remark)
        for stage in news.stages:
            self._watcher.stage(stage)

    def _count_preemptions(self, name: str, times: int) -> None:
        if times:
            self._preemptions[name] = times
            self._watcher.preempted(name, times)
            if name in self._unclear:
                self._unclear.discard(name)
                logger.warning(f"{title(self._trials[name])}: its machine had been taken away; it goes on elsewhere")

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial got a worker, perhaps not its first."""
        self._watcher.started(self._trials[name_of(trial)])

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A report: an epoch, or the end."""
        if "epoch" in result:
            self._watcher.epoch(EpochRecord(**result["epoch"]))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ran to its end, was left to another launch, or was withdrawn before it began."""
        name, result = name_of(trial), trial.last_result
        if "record" in result:
            self._count_preemptions(name, result["preemptions"])
            self._finished(pickle.loads(result["record"]))  # written by our own worker
        elif "unstorable" in result:
            self._ended.add(name)
            self._stop.fail(StoreError(result["unstorable"]))
        elif "refused" in result:
            self._ended.add(name)
            self._stop.fail(InputError(result["refused"]))
        elif result.get("left") == LEAVE:
            self._ended.add(name)
        elif "left" in result:
            kind = NODE_LOST if result["left"] == NODE_GIVEN_UP else WORKER_LOST
            error = self._errors.get(name) or RuntimeError(result["left"])
            self._record_lost(name, error, self._reasons.get(name) or _describe(error), kind)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial was lost and is going to start again."""
        name = name_of(trial)
        self._errors[name] = _error(trial)
        loss = self._loss(name, self._errors[name])
        self._reasons[name] = _reason(loss, self._errors[name])
        if _import_error(self._errors[name]):
            trial.max_failures = 0  # another worker would fail in the same way
        if loss == Loss() and isinstance(self._errors[name], RayActorError):
            self._unclear.add(name)  # Ray may notice later that a machine is gone
        leaves = loss.preempted or isinstance(self._errors[name], MachineTakenAway)
        again = "it goes on elsewhere" if leaves else "it starts again"
        logger.warning(f"{title(self._trials[name])}: {self._reasons[name]}; {again}")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial was lost more often than allowed."""
        error = _error(trial)
        self._record_lost(name_of(trial), error, _reason(self._loss(name_of(trial), error), error))

    def record_missing(self) -> None:
        """After the experiment: record trials as failed that Tune dropped without an event."""
        for name in self._trials.keys() - self._ended:
            self._record_lost(name, RuntimeError("it ended without a record"), "it ended without a record")

    def _finished(self, record: TrialRecord) -> None:
        self._ended.add(record.trial_id)
        self._errors.pop(record.trial_id, None)  # with all that its traceback refers to
        self._watcher.finished(record)

    def _loss(self, name: str, error: BaseException) -> Loss:
        """How a trial lost its worker, as far as the coordinator knows and answers."""
        if isinstance(error, (RayActorError, MachineTakenAway)) and not _import_error(error):
            with suppress(Exception):
                loss: Loss = ray.get(self._setup.coordinator.loss.remote(name), timeout=ANSWER_SECONDS)
                return loss
        return Loss()

    def _record_lost(self, name: str, error: BaseException, reason: str, kind: str | None = None) -> None:
        """Store a failed outcome for a trial whose worker is gone."""
        unimportable = _import_error(error)
        usual = WORKER_LOST if isinstance(error, RayActorError) else type(error).__name__
        kind = unimportable[0] if unimportable else kind
        outcome = failed_outcome(
            self._trials[name],
            sweep=self._setup.settings.sweep,
            cluster=self._setup.settings.compute.cluster,
            error_type=kind or usual,
            error_message=reason,
            traceback=str(error)[-4000:],
            preemptions=MACHINES + 1 if kind == NODE_LOST else self._preemptions.get(name, 0),
        )
        try:
            self._finished(self._setup.claims.write(outcome))
        except StoreError as unstorable:
            self._stop.fail(unstorable)


def _error(trial: Trial) -> BaseException:
    """The error by which a trial was last lost."""
    if trial.pickled_error_file is None:  # an error of Tune's own
        return RuntimeError(Path(trial.error_file).read_text())
    with open(trial.pickled_error_file, "rb") as file:
        error: BaseException = pickle.load(file)  # written by this very process
    return getattr(error, "cause", error)  # what was raised in the worker, if anything was


def _reason(loss: Loss, error: BaseException) -> str:
    if loss.exit_code is not None:
        return f"its process exited with code {loss.exit_code}"
    if loss.preempted and isinstance(error, RayActorError):
        return "its machine was taken away"
    return _describe(error)


def _describe(error: BaseException) -> str:
    if isinstance(error, RayActorError):
        unimportable = _import_error(error)
        if unimportable:
            return f"a worker cannot import what this launch runs: {': '.join(unimportable)}"
        return "its process died or exited, or its machine: often memory (fewer trials at once, smaller batches)"
    return " ".join(str(error).split())[:1000]


def _import_error(error: BaseException) -> tuple[str, str] | None:
    """Type and message of the error by which a worker could not import our code, if that ended it."""
    match = _CANNOT_IMPORT.search(str(error)) if isinstance(error, RayActorError) else None
    return (match[1], match[2].strip()) if match else None
