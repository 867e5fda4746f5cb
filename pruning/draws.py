"""The global generators that a network may draw from: torch's, that of `random` and that of `numpy.random`."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_draws(seed: int) -> None:
    """Seed all of them; numpy's only if something has imported numpy, since otherwise nothing draws from it.

    Args:
        seed: at least 0, below 2**63.
    """
    torch.manual_seed(seed)
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)


@contextmanager
def seeded_draws(seed: int) -> Iterator[None]:
    """Seed all of them inside, those of every GPU too; outside they are as they were."""
    numpy = sys.modules.get("numpy")
    of_python, of_numpy = random.getstate(), numpy.random.get_state() if numpy else None
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        seed_draws(seed)
        try:
            yield
        finally:
            random.setstate(of_python)
            if numpy:
                numpy.random.set_state(of_numpy)
