"""Selection on a GPU: the masks of :func:`pruning.masks.keep_highest`, to the bit, without waiting for the GPU.

All scores lie side by side in one vector, every tensor in the order in which its weight lies in memory, so that no pass
over them strides. ``topk`` of the smaller side has the threshold as its least (or greatest) value. Scores that equal it
are kept as long as there is room, in row-major order: their flags are brought into that order and counted by blocks,
then within the block where the room ends. A CPU takes :mod:`pruning.threshold`, which is faster there and looks at its
results on the way.
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

BLOCK = 1024  # flags that are counted together


class Cut(NamedTuple):
    """Masks, and what they were cut at, on the device.

    Attributes:
        above: int64, how many candidates score higher than the threshold.
        at: int64, how many score the same.
        before: flags of the weights kept before.
        after: flags of the weights kept now.
        scores: of all weights, until the next cut; their sum is finite unless a score is not, or the sum overflows.
        total: that sum, where the scores do not show it any more.
    """

    masks: Masks
    above: Tensor
    at: Tensor
    before: Tensor
    after: Tensor
    scores: Tensor
    total: Tensor | None

    def numbers(self) -> list[Tensor]:
        """The sum of the scores, above, at, and how many kept weights were kept before."""
        total = self.scores.sum() if self.total is None else self.total
        return [total, self.above, self.at, _count(self.before & self.after)]


def ties(kept: int, above: int, at: int) -> Ties:
    """As :meth:`pruning.threshold.Threshold.ties`; none where nothing is kept."""
    return Ties(kept - above, at) if 0 < kept - above < at else Ties()


class DeviceSelection:
    """The global scope without a floor, round by round. It begins with all weights kept.

    Attributes:
        kept: how many weights the last masks keep.
    """

    def __init__(self, weights: Mapping[str, Tensor]):
        self._weights = {name: _Place(weight) for name, weight in weights.items()}
        self.kept = self._count = sum(weight.numel() for weight in weights.values())
        self._device = next(iter(weights.values())).device
        self._length = -(-self._count // BLOCK) * BLOCK  # what lies behind the scores is never kept
        self._scores = torch.empty(0, device=self._device)
        self._tied = self._flags()
        self._mask = self._flags()
        self._mask[: self._count] = True
        self._row_major = torch.zeros(self._length, dtype=torch.int32, device=self._device)
        rows = torch.arange(self._length, dtype=torch.int32, device=self._device)
        for index, row in zip(self._views(self._row_major), self._rows(rows), strict=True):
            index.copy_(row)

    def cut(self, scores: Scores, kept: int, recover: bool) -> Cut:
        """The masks of the ``kept`` highest scores.

        Args:
            scores: of the weights, in their order, of one or both floating types.
            kept: at most :attr:`kept`, unless ``recover``.
            recover: whether a weight that is not kept now may be kept.
        """
        values, before, total = self._joined(scores), self._mask, None
        if not recover and self.kept < self._count:
            total = values[: self._count].sum()
            values.masked_fill_(~before, -math.inf)
        self._mask, above, at = self._highest(values, kept)
        self.kept = kept
        masks = dict(zip(self._weights, self._views(self._mask), strict=True))
        return Cut(masks, above, at, before, self._mask, values[: self._count], total)

    def _highest(self, values: Tensor, kept: int) -> tuple[Tensor, Tensor, Tensor]:
        """The mask of the ``kept`` highest; how many are above the threshold, and at it."""
        if kept == 0:
            nothing = torch.zeros((), dtype=torch.int64, device=self._device)
            return self._flags(), nothing, nothing
        real, others = values[: self._count], self._count - kept + 1
        if kept <= others:
            threshold = real.topk(kept, sorted=False).values.min()
        else:
            threshold = real.topk(others, largest=False, sorted=False).values.max()
        higher, equal = values > threshold, values == threshold
        above = _count(higher)
        last, at = self._last_tied(equal, kept - above)
        equal &= self._row_major <= last
        higher |= equal
        return higher, above, at

    def _last_tied(self, equal: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
        """The row-major index of the ``room``-th flag, int32, and how many there are; ``room`` is at least 1."""
        for row, flags in zip(self._rows(self._tied), self._views(equal), strict=True):
            row.copy_(flags)
        of_block = _block_counts(self._tied)
        up_to = of_block.cumsum(0)
        block = torch.searchsorted(up_to, room.view(1)).clamp_(max=len(of_block) - 1)
        inside = self._tied.view(-1, BLOCK).index_select(0, block).view(-1).cumsum(0)
        left = room - up_to.index_select(0, block) + of_block.index_select(0, block)
        last = block * BLOCK + torch.searchsorted(inside, left)
        return last.to(torch.int32), up_to[-1]

    def _joined(self, scores: Scores) -> Tensor:
        """All scores in one vector, each tensor's in the order of its weight in memory."""
        widest = functools.reduce(torch.promote_types, (score.dtype for score in scores.values()))
        if not len(self._scores) or self._scores.dtype != widest:
            self._scores = torch.full((self._length,), -math.inf, dtype=widest, device=self._device)
        torch._foreach_copy_(self._views(self._scores), list(scores.values()))
        return self._scores

    def _flags(self) -> Tensor:
        return torch.zeros(self._length, dtype=torch.bool, device=self._device)

    def _views(self, vector: Tensor) -> list[Tensor]:
        """The parts of a vector in the shapes of the weights, and in their order in memory."""
        starts = itertools.accumulate((place.size for place in self._weights.values()), initial=0)
        return [
            vector.as_strided(place.shape, place.stride, start)
            for place, start in zip(self._weights.values(), starts, strict=False)
        ]

    def _rows(self, vector: Tensor) -> list[Tensor]:
        """The same in row-major order."""
        sizes = [place.size for place in self._weights.values()]
        parts = vector[: self._count].split(sizes)
        return [part.view(place.shape) for part, place in zip(parts, self._weights.values(), strict=True)]


class _Place:
    """How a weight lies in memory, without gaps."""

    def __init__(self, weight: Tensor):
        self.shape, self.size = weight.shape, weight.numel()
        self.stride = torch.empty_like(weight, device="meta").stride()


def _block_counts(flags: Tensor) -> Tensor:
    """How many of each block's flags are set: eight side by side in one sum, each at most BLOCK / 8."""
    sums = flags.view(torch.int64).view(-1, BLOCK // 8).sum(1)
    return sums.view(torch.uint8).view(-1, 8).sum(1)


def _count(flags: Tensor) -> Tensor:
    """How many flags are set, int64; a sum of flags would write them all as numbers first."""
    return _block_counts(flags).sum()
