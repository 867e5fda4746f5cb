"""GraSP (Wang, Zhang & Grosse, ICLR 2020): preserve the gradient flow.

    s_i = θ_i · (H g)_i        signed: no absolute value

The first-order change of ‖g‖² when weight i is removed is −2 θ_i (Hg)_i, so weights whose removal would
reduce the gradient norm most score highest. g is a constant in the second pass, and both passes use the same data.
Logits are divided by a temperature, 200 by default.

Authors' code: a temperature of 200 and train mode (both are defaults here), and 10 images per class for CIFAR
(``pruning.sampling: balanced`` and ``pruning.batches`` × ``pruning.batch_size`` = 10 × classes). It scores a copy in
which every linear layer is drawn again, Xavier normal, and in the script for ImageNet only the last one:
``redraw_classifier: true`` does the former, which equals the latter in a network with one linear layer. The trained
network keeps its own classifier, drawn there from a normal distribution with standard deviation 0.01. The images are
sorted by class and split into two batches of half the classes each, which no option reproduces. The mask keeps all ties
with the threshold, and one weight more than requested.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register
from pruning.second_order import second_derivatives


@register("grasp", paper="arXiv:2002.07376", display_name="GraSP", colour="#088848", marker="D", dash="dashdot")
def grasp(problem: Problem, *, temperature: float = 200.0, redraw_classifier: bool = False) -> Scores:
    """Weight times Hessian-gradient product.

    Args:
        temperature: divides the logits, in both passes.
        redraw_classifier: score a copy whose linear layers have new weights, Xavier normal, as the authors' code does.
    """
    others = _redrawn_classifier(problem) if redraw_classifier else {}
    with _replaced_weights(problem, others), second_derivatives("grasp"):
        constant = problem.gradients(temperature)
        product = {name: torch.zeros_like(weight) for name, weight in problem.dense.items()}
        for loss in problem.losses(temperature):
            gradient = problem.gradient(loss, create_graph=True)
            flow = torch.stack([(constant[name] * g).sum() for name, g in gradient.items()]).sum()
            for name, hg in problem.gradient(flow).items():
                product[name] += hg / len(problem.batches)
        return {name: problem.parameters[name].detach() * hg for name, hg in product.items()}


def _redrawn_classifier(problem: Problem) -> dict[str, Tensor]:
    """Xavier normal weights for every linear layer, drawn on the CPU to be the same on every device."""
    linear = {id(module.weight) for module in problem.model.modules() if isinstance(module, nn.Linear)}
    parameters = dict(problem.model.named_parameters())
    names = [name for name in problem.dense if id(parameters[name]) in linear]
    if not names:
        raise ValueError("redraw_classifier: the network has no linear layer to draw again; leave it out")
    drawn = {name: torch.empty(parameters[name].shape, dtype=parameters[name].dtype) for name in names}
    return {
        name: nn.init.xavier_normal_(weight, generator=problem.generator).to(problem.device)
        for name, weight in drawn.items()
    }


@contextmanager
def _replaced_weights(problem: Problem, others: dict[str, Tensor]) -> Iterator[None]:
    """Replace some weights of ``problem`` inside the context."""
    own = problem.parameters
    problem.parameters = {**own, **{name: weight.requires_grad_() for name, weight in others.items()}}
    try:
        yield
    finally:
        problem.parameters = own
        if others:
            problem.objective = None  # it belongs to the replaced weights, which are not trained
