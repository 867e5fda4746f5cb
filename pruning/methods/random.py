"""Random masks: the control that every saliency must beat.

    s_i ~ U(0, 1)

One global threshold (``random``), or the same density in every layer (``random_layerwise``). With ``scope:
uniform_plus`` the first layer is dense and the classifier at least 20 % dense: "random uniform+". The kept count is
exact, unlike that of a coin flip a weight. Scores are drawn on the CPU in float64: the same mask on every device, and
practically no ties.

Authors' code: none; SynFlow's draws scores from a normal distribution, which gives the same masks in distribution.
"""

import torch

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register("random_layerwise", paper="control", time="control", data=False, scope="layerwise")
@register("random", paper="control", time="control", data=False)
def random(problem: Problem) -> Scores:
    """Uniform random scores; ``random_layerwise`` with the same density in every layer."""
    return {
        name: torch.rand(weight.shape, generator=problem.generator, dtype=torch.float64).to(problem.device)
        for name, weight in problem.dense.items()
    }
