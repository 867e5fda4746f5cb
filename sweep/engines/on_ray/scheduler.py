"""The scheduler: which trial Tune starts next."""

import time
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from sweep.engines.on_ray.not_restored import NotRestored
from sweep.engines.on_ray.ray_internals import forget_ended
from sweep.engines.stop import Stop

TELL_SECONDS = 1.0  # between two messages to the coordinator that the launch stops


class StoppableScheduler(NotRestored, FIFOScheduler):
    """Starts trials in order, those that lost their worker first, and makes Tune forget those that have ended.

    Once none may start, waiting trials are withdrawn; once a stop is requested, running ones are told to stop.
    """

    def __init__(self, stop: Stop, coordinator: Any):
        super().__init__()
        self._stop, self._coordinator, self._tell = stop, coordinator, 0.0

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Called many times a second."""
        forget_ended(tune_controller)
        if self._stop.may_start:
            return min(_waiting(tune_controller), key=_has_not_begun, default=None)
        # repeated, because a restarted coordinator has forgotten it
        if self._stop.requested and time.monotonic() >= self._tell:
            self._tell = time.monotonic() + TELL_SECONDS
            self._coordinator.stop.remote()
        for trial in _waiting(tune_controller):
            tune_controller.stop_trial(trial)
        return None


def _waiting(tune_controller: Any) -> list[Trial]:
    return [trial for trial in tune_controller.get_trials() if trial.status == Trial.PENDING]


def _has_not_begun(trial: Trial) -> bool:
    """Whether a trial has lost no worker yet: one that has goes first, because it has a checkpoint and a claim."""
    return not trial.num_failures
