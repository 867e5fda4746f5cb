"""Scopes: how many weights each layer keeps.

``global``     one threshold over all layers: the scores alone decide;
``layerwise``  the same density in every layer;
``erk``        density of a layer ∝ (n_in + n_out + k_h + k_w) / (n_in·n_out·k_h·k_w): the Erdős–Rényi kernel of
               Evci et al. (2020).
"""

from collections.abc import Mapping

from torch import Tensor

SCOPES = ("global", "layerwise", "erk")


def layer_counts(available: Mapping[str, Tensor], kept: int, scope: str) -> dict[str, int]:
    """Weights to keep in each tensor, ``kept`` in all, for the scopes that fix it beforehand.

    Args:
        available: the mask so far by name; a layer keeps no more than what is still there.
        kept: weights to keep in all.
        scope: "layerwise" or "erk".
    """
    sizes = {name: mask.numel() for name, mask in available.items()}
    room = {name: int(mask.count_nonzero()) for name, mask in available.items()}
    weights = {
        name: 1.0 if scope == "layerwise" else sum(mask.shape) / mask.numel() for name, mask in available.items()
    }
    return _whole(_capped(weights, sizes, kept), room, kept)


def _capped(weights: Mapping[str, float], sizes: Mapping[str, int], kept: int) -> dict[str, float]:
    """Counts ∝ weight·size; layers that would pass density 1 become dense and the rest is solved again."""
    dense: set[str] = set()
    while True:
        others = [name for name in sizes if name not in dense]
        left = kept - sum(sizes[name] for name in dense)
        scale = left / sum(weights[name] * sizes[name] for name in others) if others else 0.0
        over = {name for name in others if scale * weights[name] > 1}
        if not over:
            return {name: size * (1.0 if name in dense else scale * weights[name]) for name, size in sizes.items()}
        dense |= over


def _whole(shares: Mapping[str, float], room: Mapping[str, int], total: int) -> dict[str, int]:
    """Largest remainders: whole numbers next to ``shares`` that add up to ``total``, none above its ``room``."""
    counts = {name: min(int(share), room[name]) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: counts[name] - shares[name])
    while (missing := total - sum(counts.values())) > 0:
        for name in [name for name in by_remainder if counts[name] < room[name]][:missing]:
            counts[name] += 1
    return counts
