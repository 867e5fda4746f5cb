"""SNIP (Lee, Ajanthan & Torr, ICLR 2019): connection sensitivity.

    s_i = |∂L/∂c_i| at c = 1  =  |θ_i · ∂L/∂θ_i|

How much the loss would change, to first order, if connection i were weakened. Gradients are averaged over the
batches of the round before the absolute value.

Authors' code: scores are taken in eval mode (``pruning.mode: eval``) on one batch of 100 images that are not augmented
(``pruning.augment: false``). It prunes biases too, and it trains other weights than it has scored, drawn anew by the
same initialiser: ``ablation: reinitialize`` does the latter, no option the former. Its count is exact, as here. A
PyTorch version by others, the one that the authors of SynFlow refer to, scores a copy with Xavier normal weights and
feeds raw logits to ``nll_loss`` (``pruning.loss: logit``).
"""

import torch

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register("snip", paper="arXiv:1810.02340")
def snip(problem: Problem) -> Scores:
    """Connection sensitivity of the dense network, in one shot."""
    gradients = problem.gradients(lent=True)
    products = torch._foreach_mul([problem.dense[name] for name in gradients], list(gradients.values()))
    torch._foreach_abs_(products)
    return dict(zip(gradients, products, strict=True))
