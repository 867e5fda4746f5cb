"""The driver: hands the trials to Tune."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune

from sweep import imports
from sweep.config.compute import AUTO, Compute
from sweep.config.config import SweepConfig
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines.capacity import capacity
from sweep.engines.on_ray import probing
from sweep.engines.on_ray.callback import TuneCallback, name_of
from sweep.engines.on_ray.cluster import needed
from sweep.engines.on_ray.coordinator import MACHINES, start_coordinator
from sweep.engines.on_ray.lookout import Lookout
from sweep.engines.on_ray.ray_internals import silent_progress
from sweep.engines.on_ray.scheduler import StoppableScheduler
from sweep.engines.on_ray.trial_queue import TrialQueue
from sweep.engines.on_ray.worker import RayWorkerSetup, run_one
from sweep.engines.sharing.decide import decide
from sweep.engines.stop import Stop
from sweep.engines.watcher import Display
from sweep.store.claims import Claims
from sweep.trial.code_version import code_version
from sweep.trial.run import AnyDataset
from sweep.trial.settings import RunSettings

logger = logging.getLogger("sweep.engines.on_ray")

WAITING = 500  # trials that wait at once, for a cluster's autoscaler to see: it takes a second to find room for them


def drive(
    sweep: SweepConfig,
    trials: Sequence[TrialConfig],
    dataset: AnyDataset,
    claims: Claims,
    watcher: Display,
    stop: Stop,
    scratch: Path,
    lookout: Lookout,
) -> None:
    """Run the trials on the connected Ray, which has room for them, now or once it has grown.

    They are one Tune experiment, so that none waits for the last ones of another. Tune's files go into ``scratch``.
    """
    setup = _setup(sweep, trials, claims)
    shares = _gpu_shares(sweep, trials, dataset, setup, watcher, stop, lookout)
    lookout.need = needed(sweep.compute, max(shares.values()))
    # with_parameters puts the data set into the object store, which gives every machine one copy of it
    trainable = tune.with_resources(
        tune.with_parameters(run_one, setup=setup, dataset=dataset), partial(_resources, sweep.compute.cpus_per_trial)
    )
    queue, scheduler = TrialQueue(trials, shares, stop), StoppableScheduler(stop, setup.coordinator)
    callback = TuneCallback({trial_id(trial): trial for trial in trials}, setup, watcher, stop, lookout)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(_most_waiting(lookout.watches))
    if stop.may_start:
        _fit(trainable, queue, len(trials), scratch / "tune", callback, scheduler, sweep.compute.max_failures)
    if stop.may_start:
        callback.record_missing()


def _most_waiting(can_grow: bool) -> int:
    """How many trials wait for a place at once: enough for all that there are or may be soon."""
    return max(int(ray.cluster_resources().get("CPU", 0)), WAITING if can_grow else 1)


def _gpu_shares(
    sweep: SweepConfig,
    trials: Sequence[TrialConfig],
    dataset: AnyDataset,
    setup: RayWorkerSetup,
    watcher: Display,
    stop: Stop,
    lookout: Lookout,
) -> dict[str, float]:
    """The share of a GPU of each trial, by label of its architecture."""
    share = sweep.compute.gpus_per_trial
    if share != AUTO:
        return {architecture.label: share for architecture in sweep.grid.used("architecture")}
    measure = partial(probing.measure, dataset, setup, stop, lambda: watcher.waiting(lookout.reason))
    decided = decide(sweep, trials, setup.claims.store, measure, watcher.preparing)
    shares = {label: sharing.share for label, sharing in decided.items()}
    for line in cores_limit(sweep.compute, min(shares.values()), [node["Resources"] for node in ray.nodes()]):
        logger.warning(line)
    return shares


def cores_limit(compute: Compute, share: float, nodes: Iterable[Mapping[str, float]]) -> list[str]:
    """A line for each kind of node whose cores allow fewer trials than its GPUs, by Ray's names of what nodes have."""
    kinds = dict.fromkeys((int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes)
    rooms = [capacity(compute, *kind, share, machine="a node") for kind in kinds if kind[1]]
    return [f"trials: {room.text}" for room in rooms if room and room.limited_by == "compute.cpus_per_trial"]


def _resources(cpus: int, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """What a trial of Tune takes of a node: those of one architecture the same, so that they follow one another in a
    worker; the shares of different ones add up to what fits on a GPU."""
    share = config["trial"]["gpu_share"]
    return tune.PlacementGroupFactory([{"CPU": cpus, "GPU": share} if share else {"CPU": cpus}])


def _setup(sweep: SweepConfig, trials: Sequence[TrialConfig], claims: Claims) -> RayWorkerSetup:
    home = ray.get_runtime_context().get_node_id()
    return RayWorkerSetup(
        settings=RunSettings.of(sweep, "cuda" if sweep.compute.gpus_per_trial else "cpu"),
        claims=claims,
        home=home,
        folder=os.getcwd(),
        path=imports.path(),
        coordinator=start_coordinator(claims, sweep.compute.max_failures, home),
        code=code_version({trial.method.name for trial in trials}, {trial.architecture.name for trial in trials}),
    )


def _fit(
    trainable: Any,
    queue: TrialQueue,
    trials: int,
    folder: Path,
    callback: TuneCallback,
    scheduler: StoppableScheduler,
    max_failures: int,
) -> None:
    """One Tune experiment over so many trials of the queue."""
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=queue,
            num_samples=trials,
            reuse_actors=True,
            scheduler=scheduler,
            trial_name_creator=name_of,
            trial_dirname_creator=name_of,
        ),
        run_config=tune.RunConfig(
            name="sweep",
            storage_path=str(folder),
            callbacks=[callback, silent_progress()],
            # the coordinator decides how often a trial starts again; this limit only makes Tune end in any case
            failure_config=tune.FailureConfig(max_failures=max_failures + 2 * MACHINES + 1),
            verbose=0,
        ),
    )
    tuner.fit()
