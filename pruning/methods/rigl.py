"""RigL (Evci, Gale, Menick, Castro & Elsen, ICML 2020): rigging the lottery.

    s_i ~ U(0, 1) within a layer, layer densities by the Erdős–Rényi kernel;
    every ΔT steps until T_end, in each layer of n active weights:  k = f(t)·n,  f(t) = α/2 · (1 + cos(π t / T_end)),
        drop the k smallest |θ_i| of the active weights, grow the k largest |∂L/∂θ_i| of those that are then inactive

α is the option ``drop``, ΔT is ``every`` (steps), T_end is ``until`` of all steps; the paper's 0.3, 100 and 3/4. A
training that is too short for one change at ΔT has one half-way to T_end. A grown weight starts at zero, without
momentum; one that is dropped and grown at once is unchanged. Gradients of removed weights are needed only at these
steps; their cost is counted. The ablation ``invert`` is refused: the initial mask is random, so there are no scores to
invert.

In the paper, a change of the mask replaces that step's weight update. Here the update is made as well, and the drop
uses the updated weights; the gradients are those of the step, before the optimizer modifies them.

Authors' code: drops and grows in place of an update, as in the paper, first at step 0. It rounds k down, here to
nearest; it breaks ties by small noise on |θ_i|, here by index. Its drop share is constant by default, with cosine as an
option, and its CIFAR network keeps the first layer dense by default. A weight that is dropped and grown at once keeps
value and momentum there too. No option here reproduces the other differences.
"""

import math
from typing import Any

import torch
from torch import nn

from pruning.drop_and_grow import DropAndGrow, magnitude
from pruning.masking import TrainingHorizon
from pruning.masks import Masks, Scores
from pruning.methods.random import random
from pruning.problem import Problem
from pruning.registry import register


class RigL(DropAndGrow):
    """RigL's mask. See :class:`DropAndGrow`.

    Args:
        every: optimizer steps between two changes.
        until: fraction of the training's steps after which the mask no longer changes, in (0, 1].
    """

    def __init__(
        self, masks: Masks, horizon: TrainingHorizon, *, drop: float = 0.3, every: int = 100, until: float = 0.75
    ):
        super().__init__(masks, horizon, drop=drop, every=every)
        if not 0 < until <= 1:
            raise ValueError(f"until: must be above 0 and at most 1, not {until}")
        self._end = until * horizon.epochs * horizon.steps_per_epoch
        self._step = 0
        self._growth: Scores = {}

    def before_training(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Read the gradients before each of the optimizer's steps, which may overwrite them (Nesterov)."""
        super().before_training(model, optimizer)
        optimizer.register_step_pre_hook(self._look)

    def state(self) -> dict[str, Any]:
        """See :meth:`pruning.masking.Masking.state`; between steps no gradients wait to be looked at."""
        return super().state() | {"step": self._step}

    def load(self, state: dict[str, Any]) -> None:
        """See :meth:`pruning.masking.Masking.load`."""
        super().load(state)
        self._step = state["step"]

    def before_step(self) -> bool:
        """Count the step. True if the mask changes in it, which needs the host."""
        self._step += 1
        return self._due(self._step, self._end)

    def _look(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._due(self._step, self._end):
            self._growth = {
                name: torch.zeros_like(parameter) if parameter.grad is None else magnitude(parameter.grad)
                for name, parameter in self._parameters.items()
            }

    def after_step(self) -> None:
        """Zero the removed weights again; every ``every`` steps drop the smallest and grow by the gradient."""
        super().after_step()
        if self._growth:
            self._move(self._share(self._step), self._growth)
            self.dense_gradients += 1
            self._growth = {}

    def _share(self, step: int) -> float:
        return self._drop / 2 * (1 + math.cos(math.pi * step / self._end))


@register(
    "rigl",
    paper="arXiv:1911.11134",
    data=False,
    scope="erk",
    masking=RigL,
    display_name="RigL",
    colour="#080878",
    marker="D",
    dash="long_short",
)
def rigl(problem: Problem) -> Scores:
    """Sparse training: a random mask that drops its smallest weights and grows those with the largest gradients."""
    return random(problem)
