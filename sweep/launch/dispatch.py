"""Dispatch: hand trials to the engine until all have ended, here or in other launches."""

import time
from collections.abc import Mapping

from sweep.config.trial_config import TrialConfig
from sweep.engines import Display, Engine, Stop
from sweep.errors import StoreError
from sweep.launch.plan import Plan, record_sweep
from sweep.launch.progress import Progress
from sweep.records import EpochRecord, TrialRecord, trial_record
from sweep.store import Store
from sweep.store.claims import Claims, has_ended
from sweep.store.leases import Launch, Leases

LOOK_SECONDS = 2.0  # between two looks at what other launches run


class Dispatcher:
    """Runs the trials of a plan that no other launch runs, waits for the others, and takes over what they leave.

    Attributes:
        ran: ids of trials that ended in this launch.
        left: trials that have not ended, by id.
    """

    def __init__(self, planned: Plan, store: Store, stop: Stop, progress: Progress):
        self.ran: set[str] = set()
        self.left: dict[str, TrialConfig] = dict(planned.todo)
        self._planned, self._store, self._stop, self._progress = planned, store, stop, progress
        self._has_recorded = self._has_told = False

    # it is a watcher

    def started(self, trial: TrialConfig) -> None:
        """Record the sweep when its first trial starts: a launch that cannot start leaves nothing behind."""
        if not self._has_recorded:
            self._has_recorded = True
            try:
                record_sweep(self._planned, self._store)
            except StoreError as error:
                self._stop.fail(error)

    def epoch(self, record: EpochRecord) -> None:
        """Nothing."""

    def finished(self, record: TrialRecord) -> None:
        """Remember which trials ended here."""
        self.ran.add(record.trial_id)

    # and it runs the engine

    def run(self, engine: Engine, watcher: Display, leases: Leases) -> None:
        """Call the engine until nothing is left, a stop is requested, or two calls in a row ended no trial.

        ``watcher`` passes events on to this object, among others.
        """
        restarted = self._planned.todo if self._planned.from_scratch else ()
        claims = Claims(self._store, leases, self._planned.outcomes, restarted)
        idle = 0
        while self.left and self._stop.may_start and idle < 2:
            before = len(self.left)
            self._wait(leases, watcher)
            if self.left and self._stop.may_start:
                engine(self._planned.sweep, list(self.left.values()), claims, watcher, self._stop)
                self.left = {name: trial for name, trial in self.left.items() if name not in self.ran}
            idle = idle + 1 if len(self.left) == before else 0

    def _wait(self, leases: Leases, watcher: Display) -> None:
        """Wait while other launches run all that is left: an engine would read the data and find nothing to run."""
        while self.left and self._stop.may_start:
            for record in self._ended_elsewhere():
                self._progress.finished(record)
                del self.left[record.trial_id]
            running = leases.running().items()
            others = {name: launch for name, launch in running if name in self.left and launch != leases.launch}
            if len(others) < len(self.left) or not self.left:
                return
            if not self._has_told:
                self._progress.say(_waiting(others))
                watcher.prepared()  # the engine is not called yet
                self._has_told = True
            time.sleep(LOOK_SECONDS)

    def _ended_elsewhere(self) -> list[TrialRecord]:
        """Records of trials that another launch has ended since the plan was made."""
        outcomes = self._store.outcomes(self.left)
        new = [name for name, outcome in outcomes.items() if has_ended(outcome, self._planned.outcomes.get(name))]
        return [trial_record(row) for row in self._store.trials(new).to_pylist()] if new else []


def _waiting(others: Mapping[str, Launch]) -> str:
    names = ", ".join(sorted({str(launch) for launch in others.values()}))
    return f"waiting for {len(others)} trials that another launch runs ({names})"
