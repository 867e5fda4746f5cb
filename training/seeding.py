"""Random seeds: every draw depends on (seed, purpose, step) only, and on no generator that is passed around."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pruning.draws import seeded_draws


def derive(seed: int, purpose: str, step: int = 0) -> int:
    """A separate 63-bit seed for each (seed, purpose, step), the same on every platform and release."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, step: int = 0) -> torch.Generator:
    """A CPU generator for one purpose; drawing on the CPU gives all devices the same numbers."""
    return torch.Generator().manual_seed(derive(seed, purpose, step))


@contextmanager
def seeded(seed: int, purpose: str, step: int = 0, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed the global generators of torch (the CPU's and that of `device`), `random` and `numpy.random` inside.

    Their states are restored at the end. For code that takes no generator: initialisers, dropout, users' networks.
    """
    device = torch.device(device)
    with seeded_draws(derive(seed, purpose, step), [device] if device.type == "cuda" else []):
        yield
