"""The engine on Ray: trials as a Ray Tune experiment, here or on a cluster. The only package that imports ray.

environment.py      environment variables for Ray, set before it is imported
preconditions.py    what Ray needs of this machine
address.py          checks the address of a cluster, before anything else
ask_cluster.py      the process in which it does so
starting.py         from nothing to a Ray that runs trials
cluster.py          start or join Ray, and shut it down
ray_internals.py    what is used of Ray that is not documented, and why
lookout.py          finds out why trials wait, beside the driver's work
head.py             what lies on the machine with the autoscaler
autoscaler_log.py   the autoscaler's config, and errors that only its log tells
waiting.py          why trials wait, in words
raylet.py           notice when Ray's own process dies
scratch_folders.py  folders for Ray's files during a launch
driver.py           hands trials to Tune
probing.py          measures what a trial takes of a GPU, on nodes that have one
callback.py         passes Tune's events to the watcher
trial_queue.py      from which Tune takes trials
scheduler.py        which trial Tune starts next
not_restored.py     a mixin of these three
worker.py           what runs in a worker process
machine_checks.py   what it checks of its machine first
aws.py              machines of AWS, for cluster.yaml
coordinator.py      an actor that hands out trials and reaches the driver's disk

Tune decides where and when a trial runs, and starts it again when its machine is lost. Whether a trial is finished, and
with what result, only the store knows: Tune's own files are deleted when the call returns.
"""

# Every Ray process imports this package, and not every one needs torch: no import here may bring it in.
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweep.errors import InputError

if TYPE_CHECKING:
    from sweep.config.config import SweepConfig
    from sweep.config.trial_config import TrialConfig
    from sweep.engines.stop import Stop
    from sweep.engines.watcher import Display
    from sweep.store.claims import Claims


def run(
    sweep: SweepConfig,
    trials: Sequence[TrialConfig],
    claims: Claims,
    watcher: Display,
    stop: Stop,
    *,
    address: str | None = None,
) -> None:
    """Run ``trials`` on a Ray that is started for them here, or on the cluster at ``address`` ("auto", "host:6379").

    A trial whose machine is lost runs again, which does not count as a failure, at most 20 times.

    Raises:
        InputError: no Ray at ``address``, or Ray cannot start here; or no node, present or launchable, has what one
            trial needs.
    """
    if not trials:
        return
    from sweep.engines.on_ray import environment, preconditions
    from sweep.engines.preparing import reading

    preconditions.check_store(claims.store.local)
    if address is None:
        preconditions.check()
    use_mps = sweep.compute.mps and sweep.compute.gpus_per_trial != 0
    if use_mps and address is not None:
        raise InputError(
            "compute.mps: a launch starts the service on its own machine only, not on the nodes of a cluster; start"
            " nvidia-cuda-mps-control there, and --set compute.mps=off"
        )
    watcher.preparing(f"{'joining' if address else 'starting'} Ray, {reading(sweep.data)}")
    environment.prepare(address)  # ray reads it while it is imported
    from sweep.engines import mps
    from sweep.engines.on_ray.starting import run_on_ray

    with mps.environment(use_mps):
        run_on_ray(sweep, trials, claims, watcher, stop, address)
