"""Threshold: the k-th highest of many scores, to the bit, without sorting them or putting them side by side.

A strided sample tells where it lies, within a bracket; one pass over the scores counts those above the bracket and
takes out those inside, and only these few are partitioned. Where the bracket has missed (scores with a structure that
the sample does not show), the pass is made again with a bracket that holds everything: slower, never wrong.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SAMPLE = 1 << 14  # scores looked at to find the bracket
FEW = 0.05  # of the candidates: when no more are kept, to take them all out is cheaper than to count those above
MARGIN = 6.0  # standard deviations of a sampled rank on either side; the sample is a regular, not a random one


class Ties(NamedTuple):
    """Of ``candidates`` weights with one score, ``kept`` were chosen by index, there being no room for all.

    0 of 0: no weight was kept, or removed, for its index alone.
    """

    kept: int = 0
    candidates: int = 0

    def plus(self, other: "Ties") -> "Ties":
        """Those of two choices together."""
        return Ties(self.kept + other.kept, self.candidates + other.candidates)


@dataclass(frozen=True)
class Threshold:
    """The k-th highest score: ``above`` candidates are higher, ``at`` of them equal it, k − above of these are kept."""

    value: Tensor
    above: int
    at: int

    def ties(self, kept: int) -> Ties:
        """The weights that were chosen by index among those at the threshold, where ``kept`` are kept."""
        return Ties(kept - self.above, self.at) if kept - self.above < self.at else Ties()


def tied(thresholds: Mapping[str, Threshold | None], kept: Mapping[str, int]) -> Ties:
    """The ties of several choices together, by name; None where nothing was kept."""
    found = [threshold.ties(kept[name]) for name, threshold in thresholds.items() if threshold]
    return functools.reduce(Ties.plus, found, Ties())


def kth_highest(scores: Sequence[Tensor], among: Sequence[Tensor] | None, kept: int) -> Threshold:
    """Find the score that ``kept`` candidates reach or pass, ``kept`` being at least 1.

    Args:
        scores: tensors of one dtype, without NaN, on one device; of any shape and memory format.
        among: for each, which of its scores are candidates; None: all are.
        kept: at most the number of candidates.
    """
    for low, high in (_bracket(scores, among, kept), (-math.inf, math.inf)):
        above, inside = _split(scores, among, low, high)
        rank = kept - above
        if 0 < rank <= inside.numel():
            break
    value = _highest(inside, rank)
    return Threshold(value, above + _count(inside > value), _count(inside == value))


def _bracket(scores: Sequence[Tensor], among: Sequence[Tensor] | None, kept: int) -> tuple[float, float]:
    """Two scores that the threshold lies between, all but surely; infinite where the sample says nothing."""
    stride = sum(score.numel() for score in scores) // SAMPLE
    if stride < 2:
        return -math.inf, math.inf
    sample = torch.cat([_in_memory_order(score)[::stride] for score in scores])
    if among is None:
        candidates = sum(score.numel() for score in scores)
    else:
        candidates = sum(_count(mask) for mask in among)
        sample = sample[
            torch.cat(
                [
                    _in_memory_order(mask.to(score.device), score)[::stride]
                    for mask, score in zip(among, scores, strict=True)
                ]
            )
        ]
    found = sample.numel()
    share = kept / candidates
    middle, margin = share * found, MARGIN * math.sqrt(share * (1 - share) * found) + MARGIN
    falling = sample.sort(descending=True).values
    low, high = math.ceil(middle + margin), math.floor(middle - margin) - 1
    return (
        float(falling[low]) if low < found else -math.inf,
        float(falling[high]) if high >= 0 and share > FEW else math.inf,
    )


def _split(scores: Sequence[Tensor], among: Sequence[Tensor] | None, low: float, high: float) -> tuple[int, Tensor]:
    """How many candidates lie above ``high``, and those that lie in [low, high], in no order."""
    above, inside = 0, []
    for number, score in enumerate(scores):
        chosen = score >= low
        if among is not None:
            chosen &= among[number]
        if high < math.inf:
            higher = score > high
            if among is not None:
                higher &= among[number]
            above += _count(higher)
            chosen ^= higher
        inside.append(_take(score, chosen))
    return above, torch.cat(inside)


def _take(score: Tensor, chosen: Tensor) -> Tensor:
    """The chosen scores as a vector, in no order."""
    if score.device.type != "cpu":
        return score[chosen]
    values, flags = (_in_memory_order(tensor, score).numpy() for tensor in (score, chosen))
    return torch.from_numpy(values[np.flatnonzero(flags)])  # many times as fast as torch's own on a CPU


def _in_memory_order(tensor: Tensor, like: Tensor | None = None) -> Tensor:
    """All values as a vector, in the order in which ``like`` (default: the tensor itself) has them in memory."""
    like = tensor if like is None else like
    order = sorted(range(like.dim()), key=like.stride, reverse=True)
    return tensor.permute(order).reshape(-1)


def _highest(values: Tensor, rank: int) -> Tensor:
    """The value that ``rank`` − 1 others come before in falling order. On a CPU it moves the values about."""
    place = values.numel() - rank
    if values.device.type == "cpu":  # numpy's introselect is several times faster than torch's
        values.numpy().partition(place)
        return values[place].clone()
    return values.kthvalue(place + 1).values


def _count(flags: Tensor) -> int:
    return int(flags.count_nonzero())
