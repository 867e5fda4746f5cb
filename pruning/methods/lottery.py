"""IMP (Frankle & Carbin, ICLR 2019; Frankle, Dziugaite, Roy & Carbin, ICML 2020): lottery tickets.

    s_i = |θ_i| after training;  n·d^(r/R) of n weights are kept after round r of R, d = 1 − sparsity;
    kept weights are set back to their values after epoch k and trained from there, R times

Iterative magnitude pruning with weight rewinding. k is ``rewind_epoch``: 0 for the initial weights (the original
lottery ticket), a few epochs for deep networks (the ICML paper). All parameters and buffers are rewound, biases and
normalisation included. Epochs k+1, … use the same batches and learning rates every time; the optimizer starts with
empty state. The last training uses the final mask, so there are k + (R + 1)(E − k) epochs in total for trainings of E
epochs.

``rounds`` is R, which determines the cost. The papers remove a fifth of the weights per round: R = ln d / ln 0.8
reproduces that, 10 rounds for a sparsity of 0.9 (exactly: 0.893) and 21 for 0.99 (0.991). Fewer rounds remove more at a
time. The ablation ``invert`` keeps the smallest weights.

Authors' code: removes a fifth of the remaining weights in each round, so that no sparsity is set beforehand (``rounds``
as above comes closest), by a global threshold that removes all ties, which are broken by index here. It can rewind to
any step; here, to the end of an epoch. Its first training also starts at step k with a new optimizer; here it is one
training from the start. By default, each of its trainings draws the order of its data again.
"""

from typing import Any

import torch
from torch import Tensor, nn

from pruning.masking import TrainingHorizon
from pruning.masks import Masks, Scores
from pruning.methods.magnitude import magnitude
from pruning.methods.magnitude_after import MagnitudeAfter
from pruning.named_tensors import named_tensors
from pruning.problem import Problem
from pruning.registry import register


class Lottery(MagnitudeAfter):
    """Magnitude pruning after training, with weights rewound before the next one.

    Args:
        rewind_epoch: k: the epoch whose weights every later training starts from; 0: the initial weights.

    Other arguments as in :class:`MagnitudeAfter`. Every later training starts at epoch k + 1.
    """

    def __init__(
        self,
        masks: Masks,
        horizon: TrainingHorizon,
        *,
        rounds: int = 5,
        rewind_epoch: int = 0,
        scope: str = "global",
        floor: float = 0.0,
    ):
        if not 0 <= rewind_epoch < horizon.epochs:
            raise ValueError(
                f"rewind_epoch: must be at least 0 and below the {horizon.epochs} epochs of training, "
                f"not {rewind_epoch}"
            )
        super().__init__(masks, horizon, rounds=rounds, retrain=horizon.epochs - rewind_epoch, scope=scope, floor=floor)
        self._rewind_epoch = rewind_epoch
        self._rewound: dict[str, Tensor] = {}

    def before_training(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Bind the masks to the model; save its initial weights if k is 0."""
        super().before_training(model, optimizer)
        self._model = model
        if not self.rounds and not self._rewound:  # otherwise a later training, or one from a checkpoint
            self.after_epoch(0)

    def before_step(self) -> bool:
        """See :meth:`pruning.masking.Masking.before_step`: within a training the mask is a fixed one."""
        return False

    def after_epoch(self, epoch: int) -> None:
        """Save the network after epoch k, which only the first training reaches."""
        if epoch == self._rewind_epoch:
            self._rewound = {name: tensor.detach().clone() for name, tensor in named_tensors(self._model).items()}

    def state(self) -> dict[str, Any]:
        """See :meth:`pruning.masking.Masking.state`; includes the network after epoch k, once it is saved.

        The number of rounds tells which training is running.
        """
        return super().state() | {"rewound": self._rewound}

    def load(self, state: dict[str, Any]) -> None:
        """See :meth:`pruning.masking.Masking.load`."""
        super().load(state)
        self._rewound = state["rewound"]

    def after_training(self, model: nn.Module) -> int | None:
        """Prune and rewind, removed weights too, as the masks may be replaced. The next training zeroes them."""
        restart = super().after_training(model)
        if restart is not None:
            state = named_tensors(model)
            for name, values in self._rewound.items():  # buffers created later are computed again
                state[name].detach().copy_(values)
        return restart


@register(
    "imp",
    paper="arXiv:1803.03635, arXiv:1912.05671",
    data=False,
    masking=Lottery,
    starts_dense=True,
    display_name="IMP",
    colour="#980858",
    marker="s",
    dash="solid",
)
def imp(problem: Problem) -> Scores:
    """Lottery tickets: train, prune by magnitude, rewind the weights, several times."""
    return magnitude(problem)
