"""The coordinator: an actor that hands out trials to workers and reaches the driver's disk. Imports no torch."""

import time
from collections import defaultdict
from typing import NamedTuple

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.engines.on_ray.ray_internals import draining_nodes
from sweep.records import Outcome, TrialRecord
from sweep.store.claims import Claims
from sweep.trial.stage import Stage

# What a worker does with a trial: run it, leave it to another launch, to another machine, ask again, or give it up
TAKE, LEAVE, ELSEWHERE, WAIT, PROCESS_LOST, NODE_LOST = (
    "take", "leave", "elsewhere", "wait", "process lost", "node lost",
)  # fmt: skip
MACHINES = 20  # lost machines per trial; after more of them the trial is given up
NOTICE_SECONDS = 60.0  # for Ray to notice a lost machine; it notices lost processes at once
LOOK_SECONDS = 1.0  # between two looks at the nodes


class Order(NamedTuple):
    """What a worker does with the trial that it runs, and what it tells of it.

    Attributes:
        stop: save a checkpoint and end as interrupted: the launch stops.
        leave: save a checkpoint and give the trial up: its machine is being drained.
        preemptions: how often the trial's machine was taken away in this launch.
    """

    stop: bool
    leave: bool
    preemptions: int


class Loss(NamedTuple):
    """How a trial lost its worker.

    Attributes:
        exit_code: that its process announced; None where it was killed.
        preempted: whether its machine was taken away, as far as Ray has noticed.
    """

    exit_code: int | None = None
    preempted: bool = False


class News(NamedTuple):
    """What workers have said since the last news.

    Attributes:
        stages: how far trials are.
        preemptions: by trial that runs again after its machine was taken away: how often that happened in this launch.
        remarks: sentences on machines, each only once.
    """

    stages: list[Stage]
    preemptions: dict[str, int]
    remarks: list[str]


class Coordinator:
    """An actor on the driver's machine. If Ray restarts it, attempts and the request to stop are forgotten."""

    def __init__(self, claims: Claims, max_failures: int):
        self._claims, self._max_failures, self._stopping = claims, max_failures, False
        self._begun: dict[str, dict[str, str]] = defaultdict(dict)  # by trial: the node of each attempt
        self._left: set[str] = set()  # attempts that were given up because their machine was drained
        self._living: set[str] = set()  # nodes, those that are drained included
        self._draining: set[str] = set()
        self._look = 0.0  # when to look at the nodes again
        self._stages: dict[str, Stage] = {}  # by trial: the last one since they were fetched
        self._preemptions: dict[str, int] = {}  # by trial: their number, where there are any
        self._new_preemptions: dict[str, int] = {}  # those of them that changed since they were fetched
        self._remarks: dict[str, bool] = {}  # and whether they were fetched
        self._checked: set[str] = set()  # nodes whose images are those of the launch
        self._exits: dict[str, int] = {}  # by trial: the exit code that its process announced
        self._doubted: dict[str, float] = {}  # by trial: since when it is unclear how it was lost

    def stop(self) -> None:
        """Make running trials stop."""
        self._stopping = True

    def order(self, trial_id: str, node: str, stage: Stage | None = None) -> Order:
        """What a worker on ``node`` does with the trial that it runs. It says how far the trial is."""
        if stage is not None:
            self._stages[stage.trial_id] = stage
        if time.monotonic() >= self._look:
            self._look_at_nodes()
        preemptions = len(self._preempted(trial_id))
        if preemptions > self._preemptions.get(trial_id, 0):
            self._preemptions[trial_id] = self._new_preemptions[trial_id] = preemptions
        return Order(self._stopping, node in self._draining, preemptions)

    def news(self) -> News:
        """What workers have said since the last call."""
        remarks = [remark for remark, was_fetched in self._remarks.items() if not was_fetched]
        news = News(list(self._stages.values()), self._new_preemptions, remarks)
        self._stages, self._new_preemptions = {}, {}
        self._remarks = dict.fromkeys(self._remarks, True)
        return news

    def remark(self, sentence: str) -> None:
        """Pass on what a worker has to say of its machine, unless it was said before."""
        self._remarks.setdefault(sentence, False)

    def has_checked_images(self, node: str) -> bool:
        """Whether a worker on that node has compared its images with those of the launch."""
        return node in self._checked

    def note_checked_images(self, node: str) -> None:
        """Remember that they are the same."""
        self._checked.add(node)

    def take(self, trial_id: str, node: str, attempt: str) -> str:
        """What a worker on ``node`` does with a trial: one of the constants above.

        An attempt that was lost with its node, or left it while it was drained, is no failure of the trial. Ray may
        call twice where an answer is lost: an ``attempt``, a name that the worker chose, counts once.
        """
        begun = self._begun[trial_id]
        if attempt in begun:
            return TAKE
        self._look_at_nodes()
        if node in self._draining:
            return ELSEWHERE
        preempted = self._preempted(trial_id)
        if len(begun) - len(preempted) > self._max_failures:
            doubted = self._doubted.setdefault(trial_id, time.monotonic())
            # on a machine that may be gone as well
            elsewhere = any(begun[name] != node for name in begun.keys() - preempted)
            return WAIT if elsewhere and time.monotonic() - doubted < NOTICE_SECONDS else PROCESS_LOST
        self._doubted.pop(trial_id, None)
        if len(preempted) > MACHINES:
            return NODE_LOST
        if not self._claims.take(trial_id):
            return LEAVE
        begun[attempt] = node
        return TAKE

    def leave(self, attempt: str) -> None:
        """Count an attempt that a worker gave up because its machine is drained as a preemption."""
        self._left.add(attempt)

    def note_exit(self, trial_id: str, code: int) -> None:
        """Remember that a trial is about to end its process."""
        self._exits[trial_id] = code

    def loss(self, trial_id: str) -> Loss:
        """How a trial lost its last worker, asked once for each loss."""
        self._look_at_nodes()
        last = next(reversed(self._begun[trial_id]), None)
        return Loss(self._exits.pop(trial_id, None), last in self._preempted(trial_id))

    def _preempted(self, trial_id: str) -> set[str]:
        """The attempts at a trial whose machine was taken away."""
        begun = self._begun[trial_id].items()
        return {attempt for attempt, node in begun if attempt in self._left or node not in self._living}

    def _look_at_nodes(self) -> None:
        self._look = time.monotonic() + LOOK_SECONDS
        self._living = {info["NodeID"] for info in ray.nodes() if info["Alive"]}
        self._draining = draining_nodes()

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
