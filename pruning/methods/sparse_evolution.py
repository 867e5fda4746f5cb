"""SET (Mocanu et al., Nature Communications 2018): sparse evolutionary training.

    s_i ~ U(0, 1) within a layer, layer densities by the Erdős–Rényi kernel;
    after each epoch but the last, in each layer:  drop the share ζ of smallest |θ_i|, grow as many at random

ζ is the option ``drop``; ``every`` counts epochs (a training that is too short changes its mask once, half-way). A
grown weight starts at zero, without momentum. Layers keep their counts, so the sparsity is exact at all times. An
epoch's validation accuracy is that of the network just after the change; the mask does not change after the last epoch.
The ablation ``invert`` is refused: the initial mask is random, so there are no scores to invert.

Authors' code: drops by sign, the share ζ of the positive weights and the share ζ of the negative ones. Of its two
implementations, the sparse one starts grown weights at random values and does not change the mask after the last epoch,
as here; the dense one starts them at zero, as here, but also a weight that is dropped and grown at once, and its
optimizer starts with empty state in each epoch. Layers are Erdős–Rényi graphs of neurons, and the classifier of its
CIFAR-10 network is dense. No option here reproduces these. Evci et al. (ICML 2020) describe SET's drop by |θ|, as here.
"""

import torch

from pruning.drop_and_grow import DropAndGrow
from pruning.masking import TrainingHorizon
from pruning.masks import Masks, Scores
from pruning.methods.random import random
from pruning.problem import Problem
from pruning.registry import register


class SparseEvolution(DropAndGrow):
    """SET's mask. See :class:`DropAndGrow`.

    Args:
        every: epochs between two changes.
    """

    def __init__(self, masks: Masks, horizon: TrainingHorizon, *, drop: float = 0.3, every: int = 1):
        super().__init__(masks, horizon, drop=drop, every=every)

    def after_epoch(self, epoch: int) -> None:
        """Drop the smallest, grow at random."""
        if self._due(epoch, self.horizon.epochs):
            # on the CPU, so that masks are the same on every device
            draws = {
                name: torch.rand(mask.shape, generator=self.horizon.generator, dtype=torch.float64).to(mask.device)
                for name, mask in self.masks.items()
            }
            self._move(self._drop, draws)


@register(
    "set",
    paper="doi:10.1038/s41467-018-04316-3",
    data=False,
    scope="erk",
    masking=SparseEvolution,
    display_name="SET",
    colour="#78b8a8",
    marker="s",
    dash="short",
)
def sparse_evolution(problem: Problem) -> Scores:
    """Sparse training: a random mask that drops its smallest weights and grows others at random, every epoch."""
    return random(problem)
