"""From nothing to a Ray that runs trials. Steps that take seconds each run at the same time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.engines.on_ray.cluster import check_room, connected, needed
from sweep.engines.on_ray.lookout import Lookout
from sweep.engines.stop import Stop
from sweep.engines.watcher import Display
from sweep.store.claims import Claims
from sweep.trial.dataset import listed_data
from training import data


def run_on_ray(
    sweep: SweepConfig, trials: Sequence[TrialConfig], claims: Claims, watcher: Display, stop: Stop, address: str | None
) -> None:
    """As :func:`sweep.engines.on_ray.run`, after the environment is prepared."""
    with ThreadPoolExecutor(2) as aside:
        driver = aside.submit(import_module, "sweep.engines.on_ray.driver")  # which imports Tune
        config = replace(sweep, data=_absolute(sweep.data))
        images = None if address else aside.submit(listed_data, config)  # at a wrong address no image is read
        with connected(address) as scratch:
            check_room(sweep.compute, address)
            images = images or aside.submit(listed_data, config)
            dataset = images.result()
            watcher.prepared()
            with Lookout(needed(sweep.compute), watches=address is not None) as lookout:
                driver.result().drive(sweep, trials, dataset, claims, watcher, stop, scratch, lookout)


def _absolute(config: data.DataConfig) -> data.DataConfig:
    """The data config with an absolute path: other machines have another working folder."""
    return config if "://" in config.path else replace(config, path=str(Path(config.path).expanduser().absolute()))
