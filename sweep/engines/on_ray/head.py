"""The head: the machine on which the cluster's autoscaler runs. The driver may run on another."""

from contextlib import suppress

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.engines.on_ray import autoscaler_log, ray_internals
from sweep.engines.on_ray.autoscaler_log import AutoscalerLog

ANSWER_SECONDS = 30.0  # for a process on the head to start and read the log


def read_log() -> AutoscalerLog | None:
    """The autoscaler's log; None where there is none, or it cannot be read. May take :data:`ANSWER_SECONDS`."""
    head = ray_internals.head_id()
    if head is None:
        return None
    if head == ray.get_runtime_context().get_node_id():
        return _read_here()
    there = NodeAffinitySchedulingStrategy(head, soft=False)
    task = ray.remote(_read_here).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote()
    with suppress(RayError, GetTimeoutError):
        log: AutoscalerLog | None = ray.get(task, timeout=ANSWER_SECONDS)
        return log
    return None


def _read_here() -> AutoscalerLog | None:
    return autoscaler_log.read(ray_internals.log_folder())
