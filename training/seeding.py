"""Everything random comes from (seed, purpose, step): derived where it is needed, never carried along."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, purpose: str, step: int = 0) -> int:
    """A 63-bit seed of its own for each (seed, purpose, step), the same on every platform and release."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, step: int = 0) -> torch.Generator:
    """A CPU generator for one purpose: drawing on the CPU gives every device the same numbers."""
    return torch.Generator().manual_seed(derive(seed, purpose, step))


@contextmanager
def seeded(seed: int, purpose: str, step: int = 0) -> Iterator[None]:
    """Seed torch's global generators (CPU and every GPU) inside, and leave them outside as they were.

    For code that takes no generator: initialisers, dropout, other people's models.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive(seed, purpose, step))
        yield
