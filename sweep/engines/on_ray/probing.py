"""Measures what a trial takes of a GPU in Ray tasks that have one to themselves: a task for each kind of GPU."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from sweep.engines.on_ray.worker import RayWorkerSetup, begin, images_here
from sweep.engines.sharing.probe import Answer, Request, probe
from sweep.engines.stop import Stop
from sweep.trial.run import AnyDataset

POLL_SECONDS = 0.2  # between two looks at a request to stop
_TYPE = "accelerator_type:"  # begins Ray's own names for the kinds of GPUs


def measure(
    dataset: AnyDataset,
    setup: RayWorkerSetup,
    stop: Stop,
    tell: Callable[[], None],
    requests: Sequence[Request],
) -> Iterator[Answer]:
    """The answers of all kinds of GPUs; none where a stop is requested.

    Where the cluster has no GPU yet, a task waits until the autoscaler has started a node with one, as trials would.
    ``tell`` is called meanwhile.
    """
    images = ray.put(dataset)
    tasks = [_task(kind, setup).remote(setup, images, requests) for kind in kinds_of_gpus()]
    waiting = list(tasks)
    while waiting and stop.may_start:
        _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=POLL_SECONDS)
        tell()
    for task in tasks:
        if stop.may_start:
            yield from _answers(task, requests)
        else:
            ray.cancel(task, force=True)


def kinds_of_gpus() -> list[str | None]:
    """Ray's names of the kinds of GPUs on living nodes; None stands for GPUs that it has no name for, or none yet."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU", 0) >= 1]
    kinds = [next((name.removeprefix(_TYPE) for name in node if name.startswith(_TYPE)), None) for node in nodes]
    return list(dict.fromkeys(kinds)) or [None]


def _task(kind: str | None, setup: RayWorkerSetup) -> Any:
    needs: dict[str, Any] = {"num_gpus": 1, "num_cpus": setup.settings.compute.cpus_per_trial}
    return ray.remote(_measure).options(max_retries=1, **needs, **({"accelerator_type": kind} if kind else {}))


def _measure(setup: RayWorkerSetup, dataset: AnyDataset, requests: Sequence[Request]) -> list[Answer]:
    begin(setup)
    return list(probe(requests, images_here(setup, "", dataset), setup.settings))


def _answers(task: Any, requests: Sequence[Request]) -> list[Answer]:
    try:
        answers: list[Answer] = ray.get(task)
        return answers
    except RayError as error:
        why = str(error).strip().partition("\n")[0][:300]
        return [Answer(request.subject.label, error=f"its process was lost: {why}") for request in requests]
