"""SNIP (Lee, Ajanthan & Torr, ICLR 2019): connection sensitivity.

    s_i = |∂L/∂c_i| at c = 1  =  |θ_i · ∂L/∂θ_i|

The first-order change of the loss when connection i is weakened. Gradients are averaged over the batches of the round
before the absolute value.

Authors' code: scores are computed in eval mode (``pruning.mode: eval``) on one batch of 100 images that are not
augmented (``pruning.augment: false``). It prunes biases too, which no option here does, and it trains other weights
than it has scored, drawn again by the same initialiser: ``ablation: reinitialize`` does that. Its count is exact, as
here. A PyTorch version by others, which the authors of SynFlow refer to, scores a copy with Xavier normal weights and
passes raw logits to ``nll_loss`` (``pruning.loss: logit``).
"""

import torch

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register("snip", paper="arXiv:1810.02340", display_name="SNIP", colour="#085888", marker="v", dash="short")
def snip(problem: Problem) -> Scores:
    """Connection sensitivity of the dense network, in one shot."""
    gradients = problem.gradients(lent=True)
    products = torch._foreach_mul([problem.dense[name] for name in gradients], list(gradients.values()))
    torch._foreach_abs_(products)
    return dict(zip(gradients, products, strict=True))
