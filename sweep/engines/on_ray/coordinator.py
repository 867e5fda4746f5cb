"""The coordinator: an actor that hands out trials to workers and reaches the driver's disk. Imports no torch."""

import time
from collections import defaultdict

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.records import Outcome, TrialRecord
from sweep.store.claims import Claims
from sweep.trial.stage import Stage

# What a worker does with a trial: run it, leave it to another launch, ask again, or give it up
TAKE, LEAVE, WAIT, PROCESS_LOST, NODE_LOST = "take", "leave", "wait", "process lost", "node lost"
MACHINES = 20  # lost machines per trial; after more of them the trial is given up
NOTICE_SECONDS = 60.0  # for Ray to notice a lost machine; it notices lost processes at once


class Coordinator:
    """An actor on the driver's machine. If Ray restarts it, attempts and the request to stop are forgotten."""

    def __init__(self, claims: Claims, max_failures: int):
        self._claims, self._max_failures, self._stopping = claims, max_failures, False
        self._begun: dict[str, dict[str, str]] = defaultdict(dict)  # by trial: the node of each attempt
        self._stages: dict[str, Stage] = {}  # by trial: the last one since they were fetched
        self._exits: dict[str, int] = {}  # by trial: the exit code that its process announced
        self._doubted: dict[str, float] = {}  # by trial: since when it is unclear how it was lost

    def stop(self) -> None:
        """Make :meth:`stopping` true."""
        self._stopping = True

    def stopping(self, stage: Stage | None = None) -> bool:
        """Whether running trials should stop. A worker that asks says how far its trial is."""
        if stage is not None:
            self._stages[stage.trial_id] = stage
        return self._stopping

    def stages(self) -> list[Stage]:
        """How far trials are, those of which a worker has said so since the last call."""
        stages, self._stages = list(self._stages.values()), {}
        return stages

    def take(self, trial_id: str, node: str, attempt: str) -> str:
        """What a worker on ``node`` does with a trial: one of the constants above.

        An attempt on a node that is gone was lost with the node, which is not the trial's fault. Ray may call twice
        where an answer is lost: an ``attempt``, a name that the worker chose, counts once.
        """
        if attempt in self._begun[trial_id]:
            return TAKE
        living = {info["NodeID"] for info in ray.nodes() if info["Alive"]}
        present = [begun_on for begun_on in self._begun[trial_id].values() if begun_on in living]
        own_losses = len(present)
        if own_losses > self._max_failures:
            doubted = self._doubted.setdefault(trial_id, time.monotonic())
            elsewhere = any(begun_on != node for begun_on in present)  # on a machine that may be gone as well
            return WAIT if elsewhere and time.monotonic() - doubted < NOTICE_SECONDS else PROCESS_LOST
        self._doubted.pop(trial_id, None)
        if len(self._begun[trial_id]) - own_losses > MACHINES:
            return NODE_LOST
        if not self._claims.take(trial_id):
            return LEAVE
        self._begun[trial_id][attempt] = node
        return TAKE

    def note_exit(self, trial_id: str, code: int) -> None:
        """Remember that a trial is about to end its process."""
        self._exits[trial_id] = code

    def exit_code(self, trial_id: str) -> int | None:
        """The code noted since the last call; None where the process was killed."""
        return self._exits.pop(trial_id, None)

    def load(self, trial_id: str) -> bytes | None:
        """A checkpoint, for a worker that cannot reach the store's folder."""
        return self._claims.load(trial_id)

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """Save a checkpoint for such a worker."""
        self._claims.save(trial_id, checkpoint)

    def write(self, outcome: Outcome) -> TrialRecord:
        """Store an outcome for such a worker."""
        return self._claims.write(outcome)


def start_coordinator(claims: Claims, max_failures: int, node: str) -> "ray.actor.ActorHandle":
    """Start the coordinator on ``node``. It reserves no CPU, and Ray restarts it if it is lost."""
    here = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    actor = ray.remote(Coordinator).options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    return actor.remote(claims, max_failures)  # type: ignore[return-value]
