"""The live part of a network at θ⊙c: a smaller one that has all gradients but zeros, those of removed weights too.

Theorem. Drop every channel that is neither fed nor read under c (see :mod:`.compaction`). In exact arithmetic
the logits at θ⊙c stay, and so does the gradient of every weight between channels that are left; every other weight has
gradient zero.

Why. A channel that is not fed is zero for every input, one that is not read changes no output. Who drops one that is
neither takes zeros out of sums, on the way forward and on the way back. A weight that ends in it has gradient zero,
as nothing depends on the channel; a weight that begins in it, as it reads zero. A channel that is fed or read stays:
where it is but one of the two, removed weights may have gradients, and come back.

In floating point the sums have fewer zeros and are rounded in another order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pruning.compaction.channels import Channels
from pruning.compaction.kept_indices import KeptIndices, cut_out, put_back
from pruning.compaction.liveness import fed_and_read, rounded_up
from pruning.compaction.narrowing import WIDTH, macs, narrowed
from pruning.masks import Masks, count

MAX_DENSITY = 0.06  # fraction of the weights that is kept; at higher densities hardly any channel is dead
RETRY_RATIO = 0.85  # search again once this fraction of the weights kept at the last search is left
MAX_MAC_RATIO = 0.9  # multiply-accumulates of the part over those of the whole network


@dataclass(frozen=True)
class LivePart:
    """A model less its dead channels, at the model's own weights.

    Attributes:
        masks: cut to it.
        places: where its tensors are in the model.
    """

    model: nn.Module
    places: KeptIndices
    masks: Masks

    def under(self, masks: Masks) -> "LivePart":
        """The same part under other masks of the model."""
        return replace(self, masks={name: cut_out(mask, self.places.get(name, ())) for name, mask in masks.items()})

    def widened(self, gradients: dict[str, Tensor], weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Gradients of this part as those of the model with these weights."""
        return {
            name: put_back(torch.zeros_like(weight), self.places[name], gradients[name])
            if name in self.places
            else gradients[name]
            for name, weight in weights.items()
        }


class LiveParts:
    """The live parts of one model as its masks become sparser; each serves for as many rounds as it can."""

    def __init__(self, model: nn.Module):
        self._model = model
        self._channels: Channels | None = None
        self._part: LivePart | None = None
        self._looked = 0  # how many weights were kept at the last look

    def at(self, masks: Masks, input_shape: Sequence[int]) -> LivePart | None:
        """The live part under these masks, or more than it. None if running it would save too little.

        The search starts at a density of :data:`MAX_DENSITY` and is repeated once :data:`RETRY_RATIO` of the weights
        kept at the last search is left. A part with more than :data:`MAX_MAC_RATIO` of the whole network's
        multiply-accumulates is not used.
        """
        kept = count(masks)
        if kept > MAX_DENSITY * sum(mask.numel() for mask in masks.values()):
            return None
        if RETRY_RATIO * self._looked < kept <= self._looked:
            if self._part is None:
                return None
            part = self._part.under(masks)
            if count(part.masks) == kept:  # else what was dead is back, by scores that tie
                return part
        self._looked, self._part = kept, self._look(masks, input_shape)
        return self._part

    def _look(self, masks: Masks, input_shape: Sequence[int]) -> LivePart | None:
        try:
            channels = self._channels = self._channels or Channels(self._model, input_shape)
            fed, read = fed_and_read(channels, masks)
            alive = rounded_up(channels, fed | read, WIDTH)
            if macs(channels, alive) > MAX_MAC_RATIO * macs(channels, torch.ones_like(alive)):
                return None
            return LivePart(*narrowed(self._model, channels, alive), masks={}).under(masks)
        except ValueError:  # it cannot be traced, or copied: it runs whole
            return None
