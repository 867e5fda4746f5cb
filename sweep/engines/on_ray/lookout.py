"""The lookout: finds out, every few seconds and beside the driver's own work, why trials wait."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from sweep.engines.on_ray import head, ray_internals
from sweep.engines.on_ray.autoscaler_log import AutoscalerLog
from sweep.engines.on_ray.ray_internals import Reported
from sweep.engines.on_ray.waiting import Asked, ClusterState, Kind, Resources, reason
from sweep.errors import InputError

LOOK_SECONDS = 5.0
RECENT_SECONDS = 600.0  # a refusal without a log counts for so long
SILENT_SECONDS = 30.0  # a cluster that has not answered for so long is said not to answer
HINTS = {"kuberay": "kubectl describe pods"}

logger = logging.getLogger("sweep.engines.on_ray")


class Lookout:
    """A thread that looks while the block runs. Reading :attr:`reason` waits for nothing.

    Attributes:
        reason: why trials wait, as far as the last look found out; empty before the first.
        need: what one trial takes.
        watches: whether there is a cluster to look at, which may grow; else there is no reason.
    """

    def __init__(self, need: Resources, watches: bool = True):
        self.reason, self.need = "", need
        self.watches = watches
        self._ended = threading.Event()
        self._seen: dict[str, float] = {}  # by machine that starts: when it was first seen
        self._answered = time.monotonic()
        self._thread = threading.Thread(target=self._keep_looking, name="lookout", daemon=True)

    def __enter__(self) -> Self:
        if self.watches:
            self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(LOOK_SECONDS)

    def _keep_looking(self) -> None:
        while not self._ended.is_set():
            try:
                self.reason = self.look()
                self._answered = time.monotonic()
            except InputError as error:  # this Ray has no such report: the trials run all the same
                logger.warning(f"why trials wait cannot be told: {error}")
                return
            except Exception as error:  # of Ray's own: it is busy, or ends
                if time.monotonic() - self._answered > SILENT_SECONDS:
                    self.reason = f"the cluster's head does not answer ({type(error).__name__})"
            self._ended.wait(LOOK_SECONDS)

    def look(self) -> str:
        """Why trials wait now. Ray must be connected; may take as long as :func:`head.read_log` does."""
        reported = ray_internals.reported()
        told, since = ray_internals.node_groups(), self._first_seen(reported)
        return reason(state_of(reported, told, head.read_log(), since, time.time()), self.need)

    def _first_seen(self, reported: Reported) -> dict[str, float]:
        """Since when each machine starts. The cluster does not tell."""
        now, names = time.time(), {name for kind in reported.starting.values() for name in kind}
        self._seen = {name: self._seen.get(name, now) for name in names}
        return self._seen


def state_of(
    reported: Reported, told: Sequence[Kind], log: AutoscalerLog | None, since: Mapping[str, float], now: float
) -> ClusterState:
    """What the cluster reports and its log says, together.

    Args:
        reported: by the cluster.
        told: kinds of machines that some platforms tell Ray.
        log: of its autoscaler, where it could be read.
        since: by machine that starts: since when.
        now: seconds since 1970.
    """
    starting = {
        kind: Asked(len(names), min(since.get(name, now) for name in names))
        for kind, names in reported.starting.items()
    }
    if log is None:
        refused = {kind: "" for kind, moment in reported.refused.items() if now - moment < RECENT_SECONDS}
        return ClusterState(reported.nodes, told or None, None, reported.asked, starting, refused)
    hint = HINTS.get(log.provider, "ray monitor cluster.yaml")
    return ClusterState(
        reported.nodes, told or log.kinds, log.most, reported.asked, starting, log.refused, log.broken, hint
    )  # fmt: skip
