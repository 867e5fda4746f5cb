"""Random masks: the control that every saliency must beat.

    s_i ~ U(0, 1)

One global threshold (``random``), or the same density in every layer (``random_layerwise``). The kept count is
exact, unlike that of a coin flip a weight.
"""

import torch

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register("random", paper="control", data=False)
@register("random_layerwise", paper="control", data=False, scope="layerwise")
def random(problem: Problem) -> Scores:
    """Uniform random scores. Drawn on the CPU in float64: the same mask on every device, and practically no ties."""
    return {
        name: torch.rand(weight.shape, generator=problem.generator, dtype=torch.float64).to(problem.device)
        for name, weight in problem.dense.items()
    }
