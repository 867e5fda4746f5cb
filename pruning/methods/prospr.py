"""ProsPr (Alizadeh et al., ICLR 2022): sensitivity of the loss after a few steps of training, by meta-gradients.

    s_i = |∂L_M(θ_M)/∂c_i| at c = 1  =  |θ_i · λ_0,i|
    v_{t+1} = μ v_t + ∇L_t(θ_t),   θ_{t+1} = θ_t − η v_{t+1},   θ_0 = θ⊙c,   v_0 = 0,   t = 0 … M−1
    u_t = ν_{t+1} − η λ_{t+1},   λ_t = λ_{t+1} + H_t u_t,   ν_t = μ u_t,   λ_M = ∇L_M(θ_M),   ν_M = 0

M (``steps``) steps of SGD with learning rate η (``learning_rate``) and momentum μ (``momentum``), then one more loss.
L_t is the mean loss of batch t (of M+1 batches; fewer are repeated in turn) and H_t its Hessian at θ_t. The last line
is the exact chain rule backward through all steps, with one Hessian-vector product per step. Only the weights before
each step are stored for it, and no activations.

All parameters are trained, biases and normalisation included, and the derivative includes them all. Only θ_0 is masked:
a step may move a removed weight away from zero. If the steps were masked as well, s would have one more term, for the
updates that a removed weight would not get.

``first_order`` replaces the Hessians by zero: s_i = |θ_i · ∇L_M(θ_M)_i|, the initial weight times the gradient of the
trained network.

Authors' code: trains all parameters and masks only θ_0, as here; η = 0.1, μ = 0 and M = 3 are its defaults, and its
first-order variant is the same. By default, its command line uses the same batch for all M+1 losses, and its function a
new one for each, as here; ``pruning.prune`` does the former if it gets a single batch. With momentum it treats v_1 as a
constant, which drops H_0; no option reproduces that.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register
from pruning.second_order import second_derivatives

Vector = dict[str, Tensor]  # a value for every trained parameter


@register(
    "prospr",
    paper="arXiv:2202.08132",
    batches=lambda options: options["steps"] + 1,
    display_name="ProsPr",
    colour="#782818",
    marker=">",
    dash="dashdot",
)
def prospr(
    problem: Problem, *, steps: int = 3, learning_rate: float = 0.1, momentum: float = 0.0, first_order: bool = False
) -> Scores:
    """Weight times meta-gradient: the sensitivity of the loss after a few steps of training.

    Args:
        steps: M, of SGD before the last loss, each on a batch of its own.
        learning_rate: of these steps.
        momentum: of these steps.
        first_order: leave the Hessians out of the derivative.
    """
    with second_derivatives("prospr"):
        path = _train(problem, steps, learning_rate, momentum)
        slope = _gradient(problem, steps, path.pop())
        slope_of_velocity = {name: torch.zeros_like(value) for name, value in slope.items()}
        for step in () if first_order else reversed(range(steps)):
            update = _add(slope_of_velocity, -learning_rate, slope)
            slope = _add(slope, 1.0, _hessian_product(problem, step, path.pop(), update))
            slope_of_velocity = {name: momentum * value for name, value in update.items()}
    return {name: (weight * slope[name]).abs() for name, weight in problem.dense.items()}


def _train(problem: Problem, steps: int, learning_rate: float, momentum: float) -> list[Vector]:
    """All parameters before each step and after the last one."""
    trained = {
        name: parameter.detach() for name, parameter in problem.model.named_parameters() if parameter.requires_grad
    }
    path = [trained | problem.dense]
    velocity = {name: torch.zeros_like(value) for name, value in path[0].items()}
    for step in range(steps):
        velocity = _add(_gradient(problem, step, path[-1]), momentum, velocity)
        path.append(_add(path[-1], -learning_rate, velocity))
    return path


def _gradient(problem: Problem, step: int, weights: Vector) -> Vector:
    """∇L_step."""
    leaves = _leaves(weights)
    return _derivative(problem, _loss(problem, step, leaves), leaves)


def _hessian_product(problem: Problem, step: int, weights: Vector, vector: Vector) -> Vector:
    """H_step · vector."""
    leaves = _leaves(weights)
    gradient = _derivative(problem, _loss(problem, step, leaves), leaves, create_graph=True)
    product = torch.stack([(g * vector[name]).sum() for name, g in gradient.items()]).sum()
    return _derivative(problem, product, leaves)


def _loss(problem: Problem, step: int, weights: Vector) -> Tensor:
    """L_step. Dropout draws the same in both passes of a step."""
    if not problem.batches:
        raise ValueError("this method scores weights on data: pass batches=[(inputs, labels), …]")
    inputs, labels = problem.batches[step % len(problem.batches)]
    problem.seed(step + 1)
    return problem.loss(problem.logits(inputs, weights), labels)


def _derivative(problem: Problem, value: Tensor, leaves: Vector, create_graph: bool = False) -> Vector:
    if not value.requires_grad:  # the slope of a loss that is linear in the weights
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    problem.count(backward=1)
    gradients = torch.autograd.grad(
        value, list(leaves.values()), create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return dict(zip(leaves, gradients, strict=True))


def _leaves(weights: Mapping[str, Tensor]) -> Vector:
    return {name: weight.detach().requires_grad_() for name, weight in weights.items()}


def _add(first: Vector, scale: float, second: Vector) -> Vector:
    """first + scale · second."""
    return {name: value + scale * second[name] for name, value in first.items()}
