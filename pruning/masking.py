"""Masking: what happens to the masks while a network is trained.

The training loop asks what to do before the first step, after each step and after each epoch; whoever runs it asks,
after a training, whether there shall be another. A mask made before training only zeroes the removed weights again;
sparse training moves its mask; pruning after training makes one and asks for the next training.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pruning.masks import Masks, apply
from pruning.rounds import Round, compare
from pruning.threshold import Ties


@dataclass(frozen=True)
class TrainingHorizon:
    """Length of the training that a masking runs in, and the sparsity it must reach.

    Attributes:
        sparsity: fraction of the weights that is removed at the end.
        epochs: of one training.
        steps_per_epoch: optimizer steps.
        generator: CPU generator for every random draw of the masking.
        invert: remove the weights that would be kept (an ablation).
    """

    sparsity: float
    epochs: int
    steps_per_epoch: int
    generator: torch.Generator
    invert: bool = False


class Masking:
    """What all maskings have in common: removed weights are zero before and after every step.

    Momentum and weight decay may move a removed weight inside the optimizer's step, never beyond it.

    Attributes:
        masks: as they are now. They may be exchanged for others between trainings.
        rounds: every change of the masks so far.
        dense_gradients: steps that needed the gradient of removed weights too (RigL's extra cost).
        invertible: whether keeping what it would remove means anything.
    """

    invertible = True

    def __init__(self, masks: Masks, horizon: TrainingHorizon | None = None):
        self.masks = masks
        self.horizon = horizon
        self.rounds: list[Round] = []
        self.dense_gradients = 0
        self._weights: list[Tensor] = []
        self._kept: list[Tensor] = []  # the masks as zeros and ones of the weights' own type: a product in one pass

    @property
    def epochs(self) -> int:
        """Of all trainings together."""
        return self.horizon.epochs if self.horizon else 0

    def before_training(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Bind the masks to the model's parameters and zero the removed weights.

        Also where a training goes on in the middle: after :meth:`load`, the model's weights being loaded and the
        optimizer's state not yet. To a masked model it does nothing, down to the signs of its zeros: a product with
        zero keeps them, here as after a step.

        Raises:
            ValueError: the masks belong to another network.
        """
        device = next(model.parameters()).device
        self.masks = {name: mask.to(device) for name, mask in self.masks.items()}
        apply(model, self.masks)
        self._weights = [model.get_parameter(name).data for name in self.masks]
        self._kept = [torch.empty_like(weight) for weight in self._weights]
        self._copy()

    def before_step(self) -> bool:
        """Whether the coming step needs the host: :meth:`after_step`, or a hook, does more than it always does there.

        If not, a GPU may repeat a captured step instead: the operations of an earlier :meth:`after_step` on the same
        tensors, without a call. A subclass that changes what happens in a training is asked in every step unless it
        overrides this, too.
        """
        overridden = (getattr(type(self), name) is not getattr(Masking, name) for name in _IN_TRAINING)
        return any(overridden)

    def after_step(self) -> None:
        """Zero the removed weights again."""
        self._zero()

    def after_epoch(self, epoch: int) -> None:
        """Epochs count from 1, in every training."""

    def after_training(self, model: nn.Module) -> int | None:
        """The epoch that another training starts with, the model being as it shall start; None: that was all.

        Weights that the masks remove need not be zero yet: :meth:`before_training` sees to that.
        """
        return None

    def state(self) -> dict[str, Any]:
        """All that changes while networks are trained, in tensors, numbers and containers of them.

        Between two steps, epochs or trainings. Tensors are not copied: write them before training goes on.
        """
        return {
            "masks": dict(self.masks),
            "rounds": [asdict(done) for done in self.rounds],
            "dense_gradients": self.dense_gradients,
            "generator": self.horizon.generator.get_state() if self.horizon else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from another masking's :meth:`state`, made with the same arguments; before :meth:`before_training`.

        Raises:
            ValueError: the state is of another kind of masking, or of other masks; it says which.
        """
        if state.keys() != self.state().keys():
            raise ValueError(f"the masking's state is another's: it has {list(state)}, not {list(self.state())}")
        masks = state["masks"]
        for name in {**self.masks, **masks}:
            here, there = (list(of[name].shape) if name in of else None for of in (self.masks, masks))
            if here != there:
                raise ValueError(
                    f"the masking's state is another's: the mask of {name} is {there} there and {here} here"
                )
        self.masks = {name: masks[name].to(mask.device) for name, mask in self.masks.items()}
        self.rounds = [Round(**done) for done in state["rounds"]]
        self.dense_gradients = state["dense_gradients"]
        if self.horizon:
            self.horizon.generator.set_state(state["generator"])

    def _change(self, masks: Masks, ties: Ties | None = None) -> None:
        """Go over to other masks, and note what that does."""
        self.rounds.append(compare(len(self.rounds) + 1, self.masks, masks, ties=ties))
        self.masks = masks
        self._copy()

    def _copy(self) -> None:
        for kept, mask in zip(self._kept, self.masks.values(), strict=False):  # before a training there are none
            kept.copy_(mask)

    def _zero(self) -> None:
        torch._foreach_mul_(self._weights, self._kept)


_IN_TRAINING = ("before_training", "after_step")


class FixedMask(Masking):
    """A mask made before training and kept to the end: pruning at initialization."""
