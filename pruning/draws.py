"""The global random generators that a network may draw from: those of torch, of `random` and of `numpy.random`.

Of torch's generators, only those of the CPU and of the given GPUs: no CUDA context is created for a GPU that the
process does not use, and its generator does not change.
"""

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


def gpus_of(model: nn.Module) -> list[torch.device]:
    """The GPUs that hold a parameter or a buffer of the model."""
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    return sorted((device for device in devices if device.type == "cuda"), key=str)


def seed_draws(seed: int, gpus: Iterable[torch.device] = ()) -> None:
    """Seed all of them; numpy's only if numpy is imported already, as otherwise nothing draws from it.

    Args:
        seed: at least 0, below 2**63.
        gpus: whose generators to seed too.
    """
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the generators of all GPUs
    for gpu in gpus:
        with torch.cuda.device(gpu):
            torch.cuda.manual_seed(seed)
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)


@contextmanager
def seeded_draws(seed: int, gpus: Iterable[torch.device] = ()) -> Iterator[None]:
    """Seed all of them inside the context; restore their states at its end.

    Args:
        seed: at least 0, below 2**63.
        gpus: whose generators to seed and restore too.
    """
    gpus = list(gpus)
    numpy = sys.modules.get("numpy")
    of_python, of_numpy = random.getstate(), numpy.random.get_state() if numpy else None
    with torch.random.fork_rng(devices=gpus):
        seed_draws(seed, gpus)
        try:
            yield
        finally:
            random.setstate(of_python)
            if numpy:
                numpy.random.set_state(of_numpy)


def remembered_draws() -> Callable[[], None]:
    """A function that restores the current states of the generators, except those of GPUs."""
    of_torch, of_python, numpy = torch.get_rng_state(), random.getstate(), sys.modules.get("numpy")
    of_numpy = numpy.random.get_state() if numpy else None

    def rewind() -> None:
        torch.set_rng_state(of_torch)
        random.setstate(of_python)
        if numpy:
            numpy.random.set_state(of_numpy)

    return rewind
