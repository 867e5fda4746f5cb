"""The desk: what workers may ask of the driver's machine. Imports no torch: it is one more process."""

import time
from collections import defaultdict

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.records import Outcome, TrialRecord
from sweep.store.claims import Ledger

# What is to be done with a trial: run it, leave it to another launch, ask again, or give it up
TAKE, LEAVE, WAIT, PROCESS_LOST, NODE_LOST = "take", "leave", "wait", "process lost", "node lost"
MACHINES = 20  # that a trial may be lost with: more are no accident
NOTICE_SECONDS = 60.0  # until Ray has noticed that a machine is gone, whose processes it has missed at once


class Desk:
    """An actor beside the driver: it hands out trials, knows whether to stop, and reaches the driver's disk."""

    def __init__(self, ledger: Ledger, max_failures: int):
        self._ledger, self._max_failures, self._stopping = ledger, max_failures, False
        self._begun: dict[str, dict[str, str]] = defaultdict(dict)  # by trial: attempts, and the nodes they began on
        self._exits: dict[str, int] = {}  # by trial: the code that its process said it would exit with
        self._doubted: dict[str, float] = {}  # since when it has not been clear what a trial was lost with

    def stop(self) -> None:
        """From now on :meth:`stopping` is true."""
        self._stopping = True

    def stopping(self) -> bool:
        """Whether running trials shall stop."""
        return self._stopping

    def take(self, trial_id: str, node: str, attempt: str) -> str:
        """Whether a worker on ``node`` is to run a trial, leave it to another launch, ask again or give it up.

        What was begun on a node that is gone by now was lost with it: that is no fault of the trial's. Ray may ask
        twice where an answer is lost on its way: that is one ``attempt``, by a name of the worker's choice.
        """
        if attempt in self._begun[trial_id]:
            return TAKE
        living = {each["NodeID"] for each in ray.nodes() if each["Alive"]}
        left = [each for each in self._begun[trial_id].values() if each in living]
        own = len(left)
        if own > self._max_failures:
            doubted = self._doubted.setdefault(trial_id, time.monotonic())
            elsewhere = any(each != node for each in left)  # where the machine may be gone, too, unnoticed so far
            return WAIT if elsewhere and time.monotonic() - doubted < NOTICE_SECONDS else PROCESS_LOST
        self._doubted.pop(trial_id, None)
        if len(self._begun[trial_id]) - own > MACHINES:
            return NODE_LOST
        if not self._ledger.take(trial_id):
            return LEAVE
        self._begun[trial_id][attempt] = node
        return TAKE

    def note_exit(self, trial_id: str, code: int) -> None:
        """A trial is about to end its process."""
        self._exits[trial_id] = code

    def exit_code(self, trial_id: str) -> int | None:
        """What was noted since this was last asked; None where the process was ended by others."""
        return self._exits.pop(trial_id, None)

    def load(self, trial_id: str) -> bytes | None:
        """A checkpoint, for a worker that cannot see the store's folder."""
        return self._ledger.load(trial_id)

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """Keep one from there."""
        self._ledger.save(trial_id, checkpoint)

    def write(self, outcome: Outcome) -> TrialRecord:
        """Store an outcome from there."""
        return self._ledger.write(outcome)


def open_desk(ledger: Ledger, max_failures: int, node: str) -> "ray.actor.ActorHandle":
    """Start the desk on the given node; it takes no CPU of a trial's, and is started again should it be lost."""
    here = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    actor = ray.remote(Desk).options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    return actor.remote(ledger, max_failures)  # type: ignore[return-value]
