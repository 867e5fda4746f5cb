"""Random masks: the control for every saliency.

    s_i ~ U(0, 1)

One global threshold (``random``), or the same density in every layer (``random_layerwise``). With ``scope:
uniform_plus`` the first layer is dense and the classifier at least 20 % dense: "random uniform+". The kept count is
exact, unlike with independent draws for each weight. Scores are drawn on the CPU in float64, so that masks are the same
on every device and ties are practically impossible.

Authors' code: none. SynFlow's code draws scores from a normal distribution, so its masks have the same distribution.
"""

import torch

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register(
    "random_layerwise",
    paper="control",
    time="control",
    data=False,
    scope="layerwise",
    display_name="Random, layerwise",
    colour="#a89878",
    marker="<",
    dash="solid",
)
@register(
    "random",
    paper="control",
    time="control",
    data=False,
    display_name="Random",
    colour="#887878",
    marker="s",
    dash="dashdotdot",
)
def random(problem: Problem) -> Scores:
    """Uniform random scores: one threshold for all layers, or in random_layerwise the same density in each."""
    return {
        name: torch.rand(weight.shape, generator=problem.generator, dtype=torch.float64).to(problem.device)
        for name, weight in problem.dense.items()
    }
