"""How many trials of a sweep on GPUs this machine runs at once, and which setting limits that."""

from dataclasses import dataclass

from sweep.config.compute import AUTO, Compute


@dataclass(frozen=True)
class Capacity:
    """Trials at once.

    Attributes:
        trials: that run at once.
        limited_by: the key of the setting that allows no more.
        text: both in one line, with what the other setting would allow.
    """

    trials: int
    limited_by: str
    text: str


def capacity(
    compute: Compute, cores: int, gpus: int, share: float | None = None, machine: str = "this machine"
) -> Capacity | None:
    """What a machine with so many cores and GPUs runs at once; None for trials on CPUs, which only cores limit.

    A share of a GPU is of one GPU: 0.4 gives two trials each.

    Args:
        compute: the settings.
        cores, gpus: of the machine.
        share: of a GPU, that was measured where the setting is "auto"; None: it is unknown, and so is the capacity.
        machine: as the text names it.
    """
    if not compute.gpus_per_trial:
        return None
    if compute.gpus_per_trial != AUTO:
        share, setting = compute.gpus_per_trial, f"{compute.gpus_per_trial:g}"
    elif share is not None:
        setting = f"{AUTO}: {share:g}"
    else:
        return None
    by_cores, each = cores // compute.cpus_per_trial, int(1 / share + 1e-9)
    by_gpus = gpus * each
    with_cores = f"compute.cpus_per_trial={compute.cpus_per_trial} ({cores} cores)"
    with_gpus = f"compute.gpus_per_trial={setting} ({gpus} GPUs)"
    if by_cores < by_gpus:
        text = f"{by_cores} at once on {machine}, limited by {with_cores}; {with_gpus} would allow {by_gpus}"
        return Capacity(by_cores, "compute.cpus_per_trial", text)
    turns = ", which they use in turns (compute.mps: off)" if each > 1 and by_gpus > 1 and not compute.mps else ""
    text = f"{by_gpus} at once on {machine}, limited by {with_gpus}{turns}"
    return Capacity(by_gpus, "compute.gpus_per_trial", text)
