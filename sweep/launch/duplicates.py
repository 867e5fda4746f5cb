"""Sparsities of a grid that come to the same masks."""

from collections.abc import Mapping

import pruning
from pruning.masks import kept_count
from sweep.config.config import SweepConfig
from sweep.errors import InputError
from sweep.text import number


def check_sparsities(sweep: SweepConfig, weights: Mapping[str, int]) -> None:
    """Make sure that no two sparsities of a grid keep the same number of weights of every network.

    Args:
        sweep: whose grid it is.
        weights: the number of prunable weights by architecture label.

    Raises:
        InputError: naming the first two that do.
    """
    if not any(pruning.find(method.name).removes for method in sweep.grid.method):
        return
    found: dict[tuple[int, ...], float] = {}
    for sparsity in sweep.grid.sparsity:
        kept = tuple(kept_count(total, sparsity) for total in weights.values())
        if kept in found:
            counts = ", ".join(f"{count:,}" for count in kept)
            raise InputError(
                f"grid.sparsity: {number(found[kept])} and {number(sparsity)} keep the same number of weights of every"
                f" network ({counts}), and would run the same trials twice; remove one of them"
            )
        found[kept] = sparsity
