"""The hardware of a plan: how many trials run at once, in which unit their hours are counted, and what these cost."""

from dataclasses import dataclass
from platform import machine as processor

import torch

from sweep.config.compute import AUTO
from sweep.config.config import SweepConfig
from sweep.engines.capacity import capacity
from sweep.engines.sharing.decide import known
from sweep.errors import InputError
from sweep.launch.budget.measured import Hardware
from sweep.store import Store
from sweep.trial import machine


@dataclass(frozen=True)
class Slots:
    """Where the trials of a plan run, and how many at once.

    Attributes:
        gpus: that they run on; 0: on the cores of a machine.
        per_unit: trials at once on one GPU, or on the machine; the price of an hour is that of such a unit.
        share: of a GPU for each trial; None on a CPU.
        cores: of the machine; 0 where they do not count.
        is_assumed: whether nobody has measured yet how many trials share a GPU, so that each has one.
    """

    gpus: int
    per_unit: float
    share: float | None
    cores: int = 0
    is_assumed: bool = False

    @property
    def at_once(self) -> int:
        """Trials at once on all of it."""
        return max(1, int(self.per_unit * max(1, self.gpus) + 1e-9))

    @property
    def unit(self) -> str:
        """Of hours: ``GPU-hours``, or those of a machine."""
        return "GPU-hours" if self.gpus else "machine-hours"


def slots(sweep: SweepConfig, store: Store, gpus: int | None = None) -> Slots:
    """The slots of a plan.

    Args:
        sweep: whose settings count.
        store: with what was measured of the sharing of GPUs.
        gpus: that it would run on; by default this machine's, or one.

    Raises:
        InputError: a number of GPUs for trials on CPUs.
    """
    compute, cores = sweep.compute, machine.cores()
    if not compute.gpus_per_trial:
        if gpus is not None:
            raise InputError("--gpus: these trials run on CPUs (compute.gpus_per_trial: 0); leave it out")
        return Slots(0, max(1, cores // compute.cpus_per_trial), None, cores)
    share, is_assumed = _share(sweep, store)
    here = torch.cuda.device_count()
    room = capacity(compute, cores, here, share) if here else None
    per_unit = room.trials / here if room else int(1 / share + 1e-9)
    return Slots(gpus or here or 1, max(per_unit, 1 / (here or 1)), share, is_assumed=is_assumed)


def _share(sweep: SweepConfig, store: Store) -> tuple[float, bool]:
    """The share of a GPU of each trial, and whether that is assumed, since nobody has measured it yet."""
    share = sweep.compute.gpus_per_trial
    if share != AUTO:
        return share, False
    shares = [None if found is None else found.share for found in known(sweep, store).values()]
    measured = [each for each in shares if each is not None]
    return (max(measured), False) if len(measured) == len(shares) else (1.0, True)


def device_here(slots: Slots, cpus_per_trial: int) -> Hardware:
    """This machine's hardware as records name it (:func:`sweep.trial.provenance.device_name`).

    A GPU's name stays open: to ask for it would start a CUDA context.
    """
    return Hardware("" if slots.gpus else f"cpu ({processor()}, {cpus_per_trial} threads)", slots.share)
