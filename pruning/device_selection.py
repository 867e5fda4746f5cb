"""Selection on a GPU: the masks of :func:`pruning.masks.keep_highest`, to the bit, without waiting for the GPU.

All scores lie side by side in row-major order. ``topk`` of the smaller side has the threshold as its least (or
greatest) value; a running count of the scores that equal it keeps as many of them as there is room for, by index. A
CPU takes :mod:`pruning.threshold`, which is faster there and looks at its results on the way.
"""

import functools
import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from pruning.masks import Masks, Scores
from pruning.threshold import Ties


class Cut(NamedTuple):
    """Masks, and what they were cut at, on the device.

    Attributes:
        above: int64, how many candidates score higher than the threshold.
        at: int64, how many score the same.
        both: int64, how many kept weights were kept before.
        total: float64, the sum of all scores: finite unless a score is not, or the sum overflows.
    """

    masks: Masks
    above: Tensor
    at: Tensor
    both: Tensor
    total: Tensor


def ties(kept: int, above: int, at: int) -> Ties:
    """As :meth:`pruning.threshold.Threshold.ties`; none where nothing is kept."""
    return Ties(kept - above, at) if 0 < kept - above < at else Ties()


class DeviceSelection:
    """The global scope without a floor, round by round. It begins with all weights kept.

    Attributes:
        kept: how many weights the last masks keep.
    """

    def __init__(self, weights: Mapping[str, Tensor]):
        self._sizes = [weight.numel() for weight in weights.values()]
        self._shapes = {name: weight.shape for name, weight in weights.items()}
        self._scores: Tensor | None = None
        first = next(iter(weights.values()))
        self._mask = torch.ones(sum(self._sizes), dtype=torch.bool, device=first.device)
        self.kept = len(self._mask)

    def cut(self, scores: Scores, kept: int, recover: bool) -> Cut:
        """The masks of the ``kept`` highest scores.

        Args:
            scores: of the weights, in their order, of one or both floating types.
            kept: at most :attr:`kept`, unless ``recover``.
            recover: whether a weight that is not kept now may be kept.
        """
        values = self._joined(scores)
        total = values.sum(dtype=torch.float64)
        if not recover and self.kept < len(values):
            values.masked_fill_(~self._mask, -math.inf)
        mask, above, at = _highest(values, kept)
        both = (mask & self._mask).count_nonzero()
        self._mask, self.kept = mask, kept
        parts = (part.view(shape) for part, shape in zip(mask.split(self._sizes), self._shapes.values(), strict=True))
        return Cut(dict(zip(self._shapes, parts, strict=True)), above, at, both, total)

    def _joined(self, scores: Scores) -> Tensor:
        """All scores in one vector, in row-major order whatever their order in memory."""
        widest = functools.reduce(torch.promote_types, (score.dtype for score in scores.values()))
        if self._scores is None or self._scores.dtype != widest:
            self._scores = torch.empty(sum(self._sizes), dtype=widest, device=self._mask.device)
        ends = itertools.accumulate(self._sizes)
        for score, end in zip(scores.values(), ends, strict=True):
            self._scores[end - score.numel() : end].view(score.shape).copy_(score)
        return self._scores


def _highest(values: Tensor, kept: int) -> tuple[Tensor, Tensor, Tensor]:
    """The mask of the ``kept`` highest of a vector, ties by index; how many are above the threshold, and at it."""
    if kept == 0:
        nothing = torch.zeros((), dtype=torch.int64, device=values.device)
        return torch.zeros_like(values, dtype=torch.bool), nothing, nothing
    others = len(values) - kept + 1
    if kept <= others:
        threshold = values.topk(kept, sorted=False).values.min()
    else:
        threshold = values.topk(others, largest=False, sorted=False).values.max()
    higher, equal = values > threshold, values == threshold
    above, at = higher.count_nonzero(), equal.count_nonzero()
    higher |= equal & (equal.cumsum(0, dtype=torch.int32) <= kept - above)
    return higher, above, at
