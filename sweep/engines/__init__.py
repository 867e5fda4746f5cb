"""Engines: where trials run. In this process, in several processes of this machine, or on Ray.

engine.py      what every engine does: the protocol
watcher.py     what an engine reports while trials run
preparing.py   what an engine says that it does before trials run
stop.py        the request to stop
inline.py      in this process, one trial after another
capacity.py    how many trials on GPUs a machine runs at once
sharing/       how many share a GPU, measured where the config says "auto"
mps.py         NVIDIA's Multi-Process Service, for the processes of one launch on this machine
processes/     on this machine, several trials at once
on_ray/        on a Ray of our own, or on a Ray cluster

A new engine is one module with a function as :class:`Engine` describes it, and a line in :func:`choose`.
"""

# Ray's processes import this package, and not every one needs torch: no import here may bring it in.
from __future__ import annotations

from functools import partial
from typing import Literal

from sweep.engines.engine import Engine
from sweep.engines.stop import Stop
from sweep.engines.watcher import Display, Watcher, Watchers
from sweep.errors import InputError
from sweep.trial.settings import RunSettings

__all__ = ["Display", "Engine", "RunSettings", "Stop", "Watcher", "Watchers", "choose"]


def choose(local: bool = False, jobs: int | Literal["auto"] | None = None, address: str | None = None) -> Engine:
    """The engine for the options ``--local``, ``--jobs`` and ``--address``.

    Raises:
        InputError: the options contradict each other, or no Ray cluster that this machine can use is at ``address``.
    """
    if local and address:
        raise InputError("--local runs without Ray and --address joins a cluster: give one of the two")
    if jobs and not local:
        raise InputError(
            f"--jobs {jobs} is for --local: Ray decides how many trials run at once, by compute.cpus_per_trial and"
            " compute.gpus_per_trial"
        )
    if not local:
        from sweep.engines import on_ray

        if address is not None:
            from sweep.engines.on_ray.address import check

            check(address)
        return partial(on_ray.run, address=address)
    if jobs is None or jobs == 1:
        from sweep.engines import inline

        return inline.run
    from sweep.engines import processes

    return partial(processes.run, jobs=jobs)
