"""NTK-SAP (Wang, Li & Sun, ICLR 2023): keep the spectrum of the neural tangent kernel.

    s_i = |∂/∂c_i Σ ‖f(z; W⊙c) − f(z; (W+Δ)⊙c)‖²|        z ~ N(0, 1),  W ~ N(0, σ_l²),  Δ ~ N(0, ε²)

The change of the outputs under a perturbation of the weights estimates the trace of the kernel, the sum of its
eigenvalues. c multiplies W in one term and W+Δ in the other; the derivative includes both. The method uses neither data
nor the weights of the network: each of the ``draws`` of a round draws ``inputs`` noise images, weights W and a
perturbation Δ with standard deviation ε (``epsilon``), and the gradients of all draws are added before the absolute
value. 20 rounds; removed weights stay removed.

W is normal with the mean square σ_l² of the layer's initial weights, like another draw of a normal initialisation.
``fresh_weights: false`` uses the initial weights themselves. Biases are neither drawn nor perturbed. BatchNorm
normalises both terms by the statistics of z at W⊙c, held constant, and dropout is off, for any ``pruning.mode``.

Authors' code: overwrites the network's weights with its draws and restores them from a file at the end; the draws are
Kaiming-normal, and BatchNorm starts from the identity each time. It uses ten noise images per class, in batches of at
most 256 with one draw each, and repeats that R times: ``inputs: 100, draws: 5`` is its CIFAR-10 example (R = 5),
``inputs: 100`` its default. BatchNorm's statistics and the derivative are as here. Its threshold removes all ties.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from pruning.masks import Scores
from pruning.modes import scoring_mode
from pruning.problem import Problem
from pruning.registry import register


def _check(options: Mapping[str, Any]) -> None:
    for name in ("inputs", "draws"):
        if options[name] < 1:
            raise ValueError(f"{name}: must be at least 1, not {options[name]}")
    if options["epsilon"] <= 0:
        raise ValueError(f"epsilon: must be above 0, not {options['epsilon']}: the weights would not be perturbed")


@register(
    "ntk_sap",
    paper="arXiv:2304.02840",
    rounds=20,
    data=False,
    check=_check,
    display_name="NTK-SAP",
    colour="#7838d8",
    marker="P",
    dash="dashdotdot",
)
def ntk_sap(
    problem: Problem, *, epsilon: float = 0.01, inputs: int = 32, draws: int = 1, fresh_weights: bool = True
) -> Scores:
    """Influence of the mask on the spectrum of the neural tangent kernel; data-free, iterative.

    Args:
        epsilon: standard deviation of the perturbation of the weights, above 0.
        inputs: noise images of one draw.
        draws: of images, weights and perturbation in each round.
        fresh_weights: draw the weights too; false: perturb the initial ones.
    """
    total = {name: torch.zeros_like(weight) for name, weight in problem.dense.items()}
    with scoring_mode(problem.model, train=False):
        for _ in range(draws):
            noise = _normal(problem, (inputs, *problem.input_shape))
            weights = _drawn_again(problem) if fresh_weights else problem.dense
            perturbed = {name: weight + epsilon * _normal(problem, weight.shape) for name, weight in weights.items()}
            for name, gradient in _gradients(problem, noise, weights, perturbed).items():
                total[name] += gradient
    return {name: gradient.abs() for name, gradient in total.items()}


def _gradients(
    problem: Problem, noise: Tensor, weights: Mapping[str, Tensor], perturbed: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """∂/∂c of the squared distance between the outputs at weights⊙c and at perturbed⊙c."""
    mask = {name: kept.to(weights[name].dtype).requires_grad_() for name, kept in problem.masks.items()}
    ours, theirs = ({name: values[name] * c for name, c in mask.items()} for values in (weights, perturbed))
    with torch.no_grad(), _statistics_of_one_batch(problem.model) as layers:
        if layers:
            problem.logits(noise, ours)
    distance = (problem.logits(noise, ours) - problem.logits(noise, theirs)).square().sum()
    problem.count(backward=2)  # through both passes
    gradients = torch.autograd.grad(distance, list(mask.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(mask, gradients, strict=True))


def _normal(problem: Problem, shape: Sequence[int]) -> Tensor:
    """N(0, 1), drawn on the CPU to be the same on every device."""
    dtype = next(iter(problem.dense.values())).dtype
    return torch.randn(tuple(shape), generator=problem.generator, dtype=dtype).to(problem.device)


def _drawn_again(problem: Problem) -> dict[str, Tensor]:
    """Normal weights with the mean square of each layer's initial weights."""
    return {
        name: weight.square().mean().sqrt() * _normal(problem, weight.shape) for name, weight in problem.dense.items()
    }


@contextmanager
def _statistics_of_one_batch(model: nn.Module) -> Iterator[list[_NormBase]]:
    """Make layers with running statistics set them from the next batch only. Yields these layers."""
    layers = [module for module in model.modules() if isinstance(module, _NormBase) and module.track_running_stats]
    before = [(layer.momentum, layer.training) for layer in layers]
    try:
        for layer in layers:
            layer.momentum, layer.training = 1.0, True
        yield layers
    finally:
        for layer, (momentum, training) in zip(layers, before, strict=True):
            layer.momentum, layer.training = momentum, training
