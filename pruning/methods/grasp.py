"""GraSP (Wang, Zhang & Grosse, ICLR 2020): preserve the gradient flow.

    s_i = θ_i · (H g)_i        signed: no absolute value

The first-order change of ‖g‖² when weight i is removed is −2 θ_i (Hg)_i, so weights whose removal would cost
gradient norm score highest. g is a constant in the second pass, and both passes see the same data. Logits are
divided by a temperature of 200, as in the authors' code. (They also re-draw the classifier of the copy they
score; here the network that is scored is the network that is trained.)
"""

import torch

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register("grasp", paper="arXiv:2002.07376")
def grasp(problem: Problem, *, temperature: float = 200.0) -> Scores:
    """Weight times Hessian-gradient product."""
    constant = problem.gradients(temperature)
    product = {name: torch.zeros_like(weight) for name, weight in problem.dense.items()}
    for loss in problem.losses(temperature):
        gradient = problem.gradient(loss, create_graph=True)
        flow = torch.stack([(constant[name] * g).sum() for name, g in gradient.items()]).sum()
        for name, hg in problem.gradient(flow).items():
            product[name] += hg / len(problem.batches)
    return {name: problem.parameters[name].detach() * hg for name, hg in product.items()}
