"""The desk: what workers may ask of the driver's machine. Imports no torch: it is one more process."""

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.records import Outcome
from sweep.store import Store


class Desk:
    """An actor beside the driver: it knows whether to stop, and reaches the driver's disk."""

    def __init__(self, store: Store):
        self._store, self._stopping = store, False

    def stop(self) -> None:
        """From now on :meth:`stopping` is true."""
        self._stopping = True

    def stopping(self) -> bool:
        """Whether running trials shall stop at the end of their epoch."""
        return self._stopping

    def write(self, outcome: Outcome) -> None:
        """Store an outcome from a worker that cannot see the store's folder."""
        self._store.write(outcome)


def open_desk(store: Store, node: str) -> "ray.actor.ActorHandle":
    """Start the desk on the given node; it takes no CPU of a trial's, and is started again should it be lost."""
    here = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    actor = ray.remote(Desk).options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    return actor.remote(store)
