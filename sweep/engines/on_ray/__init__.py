"""The engine on Ray: all trials as one Ray Tune experiment, here or on a cluster. The only package that imports ray.

environment.py, preconditions.py   what Ray is told, and what it needs of this machine, before it is imported
starting.py   from nothing to a Ray that runs trials
cluster.py    Ray, started or joined, and gone again
driver.py     what the driver does while trials run
worker.py     what runs in a worker process
desk.py       what workers may ask of the driver's machine

Tune decides where and when a trial runs and starts it again when its machine is lost. What a trial is, whether it is
done and what came out is the store's business alone, so nothing of Tune's outlives the call.
"""

# Light on purpose: every Ray process imports this package, not every one needs torch.
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.config.config import SweepConfig
    from sweep.config.trial_config import TrialConfig
    from sweep.engines.watching import Stop, Watcher
    from sweep.store.claims import Ledger


def run(
    sweep: SweepConfig,
    trials: Sequence[TrialConfig],
    ledger: Ledger,
    watch: Watcher,
    stop: Stop,
    *,
    address: str | None = None,
) -> None:
    """Run ``trials`` on a Ray of our own on this machine, or on the cluster at ``address`` ("auto", "host:6379").

    A trial whose worker is lost runs again, up to ``compute.max_failures`` times, and is recorded as failed after that;
    one whose machine is lost runs again. Both go on from their checkpoint. Once ``stop`` is requested no trial starts,
    and those that run save a checkpoint and are recorded as interrupted.

    Raises:
        InputError: no Ray at ``address``, or none can be started here; or no node, present or launchable, has what one
            trial takes.
    """
    if not trials:
        return
    from sweep.engines.on_ray import environment, preconditions

    if address is None:
        preconditions.check()
    environment.prepare(address)  # ray reads it while it is imported
    from sweep.engines.on_ray.starting import run_on_ray

    run_on_ray(sweep, trials, ledger, watch, stop, address)
