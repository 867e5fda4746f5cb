"""Engine: runs trials and stores their records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sweep.config.config import SweepConfig
    from sweep.config.trial_config import TrialConfig
    from sweep.engines.stop import Stop
    from sweep.engines.watcher import Display
    from sweep.store.claims import Claims


class Engine(Protocol):
    """Runs trials and stores their records. Every engine keeps this contract; a test class checks it for each.

    * **Claims.** A trial runs only after ``claims.take(id)`` returned True. Where it returns False, another launch runs
      the trial or has finished it, and the engine skips it silently.
    * **Records.** Every trial that ran is written with ``claims.write(outcome)``, which releases it, and is then
      reported with ``watcher.finished(record)``. A trial that fails is a record like any other; the rest still runs.
      With :func:`sweep.trial.attempts.run_attempts` failures become records, and trials start from their checkpoints.
    * **Watcher.** ``started`` comes before a trial's epochs. It may come again after a lost worker, and for a trial
      that is then skipped, where a worker takes the trial. ``epoch`` may be left out now and then, ``stage``,
      ``preparing`` and ``prepared`` always. All calls come from the thread that called the engine.
    * **Stop.** Once ``stop.may_start`` is false no trial starts, and the engine returns when the running ones have
      ended and are recorded. Once ``stop.requested`` is true, which may come later, running trials save a checkpoint,
      end at the next step and are recorded as interrupted.
    * **Lost workers.** A trial whose process dies runs again in another, at most ``compute.max_failures`` times, and is
      then recorded as failed with the error type ``WorkerLost``.
    * **Store errors.** A StoreError while trials run is passed to ``stop.fail(error)``, or raised.
    * **End.** The engine returns when all its trials have ended. It leaves no process and no file behind, even if it
      raises.
    """

    def __call__(
        self, sweep: SweepConfig, trials: Sequence[TrialConfig], claims: Claims, watcher: Display, stop: Stop, /
    ) -> None:
        """Run ``trials``, which are part of ``sweep``, in this order as far as the engine has one.

        Raises:
            InputError: this machine or cluster lacks what a trial needs. No trial has started.
            StoreError: the store cannot be written to.
        """
