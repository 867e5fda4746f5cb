"""Drop and grow: masks that change during training, with a constant count per layer (SET, RigL)."""

import math

import torch
from torch import Tensor, nn

from pruning.masking import Masking, TrainingHorizon
from pruning.masks import Masks, Scores, cut_per_layer, joined, split
from pruning.threshold import tied


class DropAndGrow(Masking):
    """At intervals, each layer drops its smallest active weights and grows as many others.

    The k active weights with the smallest |θ| are dropped. Then the k inactive weights with the highest growth scores
    are grown, the dropped ones included: a weight that is dropped and grown at once is unchanged. Every other grown
    weight starts at zero, and so do the optimizer's momentum and moments for it: the optimizer sees dense gradients, so
    they would hold values from the time when the weight was inactive.

    Args:
        masks: at the start of training.
        horizon: length of the training, and whether scores are inverted.
        drop: share of a layer's active weights to drop, in (0, 1).
        every: steps or epochs between two changes.

    Raises:
        ValueError: "option: what is wrong", for an option out of range; "ablation: …" where ``horizon`` inverts.
    """

    horizon: TrainingHorizon
    invertible = False

    def __init__(self, masks: Masks, horizon: TrainingHorizon, *, drop: float, every: int):
        super().__init__(masks, horizon)
        if not 0 < drop < 1:
            raise ValueError(f"drop: must lie between 0 and 1, not {drop}")
        if every < 1:
            raise ValueError(f"every: must be at least 1, not {every}")
        if horizon.invert:
            raise ValueError(
                "ablation: 'invert' keeps the lowest scores, but this method starts from random scores; remove 'invert'"
            )
        self._drop, self._every = drop, every

    def before_training(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Bind the masks to the model's parameters and to the optimizer's state."""
        super().before_training(model, optimizer)
        self._parameters = {name: model.get_parameter(name) for name in self.masks}
        self._optimizer = optimizer

    def before_step(self) -> bool:
        """See :meth:`pruning.masking.Masking.before_step`: masks move in place, and between steps."""
        return False

    def _due(self, now: int, end: float) -> bool:
        """Whether the mask changes at this step or epoch (from 1 on): at every multiple of ``every`` below ``end``.

        If there is none, it changes once, half-way to the end.
        """
        every = self._every if self._every < end else math.ceil(end / 2)
        return now < end and now % every == 0

    def _move(self, share: float, growth: Scores) -> None:
        """Drop ``share`` of each layer's active weights and grow as many with the highest growth scores."""
        before, active, dropped = split(self.masks), {}, {}
        for name, mask in before.items():
            active[name] = int(mask.count_nonzero())
            dropped[name] = round(share * active[name])
        sizes = split({name: magnitude(weight) for name, weight in zip(self.masks, self._weights, strict=True)})
        stay = {name: active[name] - dropped[name] for name in active}
        left, lowest = cut_per_layer(sizes, stay, before)
        grown, highest = cut_per_layer(split(growth), dropped, {name: ~mask for name, mask in left.items()})
        ties = tied(lowest, stay).plus(tied(highest, dropped))
        new = joined({name: mask & ~before[name] for name, mask in grown.items()}, self.masks)
        self._change(joined({name: mask | grown[name] for name, mask in left.items()}, self.masks), ties)
        self._zero()
        for name, parameter in self._parameters.items():
            self._reset_state(parameter, new[name])

    def _reset_state(self, parameter: nn.Parameter, new: Tensor) -> None:
        for state in self._optimizer.state.get(parameter, {}).values():
            if isinstance(state, Tensor) and state.shape == parameter.shape:
                state.masked_fill_(new, 0)


def magnitude(values: Tensor) -> Tensor:
    """|values|, with 0 for NaN: the training loop reports divergence."""
    return values.detach().abs().nan_to_num()
