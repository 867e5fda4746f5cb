"""Everything random comes from (seed, purpose, step): derived where it is needed, never carried along."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pruning.draws import seeded_draws


def derive(seed: int, purpose: str, step: int = 0) -> int:
    """A 63-bit seed of its own for each (seed, purpose, step), the same on every platform and release."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, step: int = 0) -> torch.Generator:
    """A CPU generator for one purpose: drawing on the CPU gives every device the same numbers."""
    return torch.Generator().manual_seed(derive(seed, purpose, step))


@contextmanager
def seeded(seed: int, purpose: str, step: int = 0, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed the global generators of torch (the CPU's and that of `device`), `random` and `numpy.random` inside.

    Outside, all of them are as they were. For code that takes no generator: initialisers, dropout, other people's
    networks.
    """
    device = torch.device(device)
    with seeded_draws(derive(seed, purpose, step), [device] if device.type == "cuda" else []):
        yield
