"""IMP (Frankle & Carbin, ICLR 2019; Frankle, Dziugaite, Roy & Carbin, ICML 2020): lottery tickets.

    s_i = |θ_i| after training;  n·d^(r/R) of n weights are left after round r of R, d = 1 − sparsity;
    what is left goes back to its value after epoch k and is trained from there, R times

Iterative magnitude pruning with weight rewinding. k is ``rewind_epoch``: 0 for the initial weights (the original
lottery ticket), a few epochs for deep networks (the ICML paper). All parameters and buffers are rewound, biases and
normalisation too, and the epochs k+1, … see the same batches at the same learning rates every time; the optimizer
starts anew. The last training is that of the final mask, so there are k + (R + 1)(E − k) epochs of E each.

``rounds`` is R, and so the price. The papers remove a fifth of the weights a round: R = ln d / ln 0.8 reproduces that,
10 rounds for a sparsity of 0.9 (of 0.893, to be exact) and 21 for 0.99 (0.991). Fewer rounds remove more at a time.
The ablation ``invert`` keeps the smallest weights.

Authors' code: removes a fifth of what is left at each level and lets the sparsity fall where it may (``rounds`` as
above comes nearest), by a global threshold whose ties all go, where ours are broken by index; it can rewind to any
step, ours to the end of an epoch; its first training, too, starts at step k with a new optimizer, where ours is one
training from the start; and each training draws the order of its data anew unless told otherwise.
"""

from typing import Any

import torch
from torch import Tensor, nn

from pruning.masking import Course
from pruning.masks import Masks, Scores
from pruning.methods.magnitude import magnitude
from pruning.methods.magnitude_after import MagnitudeAfter
from pruning.problem import Problem
from pruning.registry import register


class Lottery(MagnitudeAfter):
    """Magnitude pruning after training, with weights rewound before the next one.

    Args:
        rewind_epoch: k, below the epochs of training.

    The rest is as in :class:`MagnitudeAfter`; a training goes on from epoch k + 1.
    """

    def __init__(
        self,
        masks: Masks,
        course: Course,
        *,
        rounds: int = 5,
        rewind_epoch: int = 0,
        scope: str = "global",
        floor: float = 0.0,
    ):
        if not 0 <= rewind_epoch < course.epochs:
            raise ValueError(
                f"rewind_epoch: must be at least 0 and below the {course.epochs} epochs of training, not {rewind_epoch}"
            )
        super().__init__(masks, course, rounds=rounds, retrain=course.epochs - rewind_epoch, scope=scope, floor=floor)
        self._rewind_epoch = rewind_epoch
        self._rewound: dict[str, Tensor] = {}

    def before_training(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Bind the masks to the model, and remember its initial weights where these are to come back."""
        super().before_training(model, optimizer)
        self._model = model
        if not self.rounds and not self._rewound:  # else this is a later training, or one that goes on in the middle
            self.after_epoch(0)

    def before_step(self) -> bool:
        """See :meth:`pruning.masking.Masking.before_step`: within a training the mask is a fixed one."""
        return False

    def after_epoch(self, epoch: int) -> None:
        """Remember the network after epoch k. Only the first training gets there, the others start behind it."""
        if epoch == self._rewind_epoch:
            self._rewound = {name: tensor.detach().clone() for name, tensor in _state(self._model).items()}

    def state(self) -> dict[str, Any]:
        """See :meth:`pruning.masking.Masking.state`; with the network after epoch k, once there is one.

        Which training it is in shows in the number of rounds.
        """
        return super().state() | {"rewound": self._rewound}

    def load(self, state: dict[str, Any]) -> None:
        """See :meth:`pruning.masking.Masking.load`."""
        super().load(state)
        self._rewound = state["rewound"]

    def after_training(self, model: nn.Module) -> int | None:
        """Prune and rewind: removed weights too, in case the masks are exchanged. The next start zeroes them."""
        restart = super().after_training(model)
        if restart is not None:
            state = _state(model)
            for name, values in self._rewound.items():  # a buffer that came later is worked out again
                state[name].detach().copy_(values)
        return restart


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, those too that are left out of a ``state_dict``."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@register("imp", paper="arXiv:1803.03635, arXiv:1912.05671", data=False, masking=Lottery, starts_dense=True)
def imp(problem: Problem) -> Scores:
    """Lottery tickets: train, prune by magnitude, rewind the weights, several times."""
    return magnitude(problem)
