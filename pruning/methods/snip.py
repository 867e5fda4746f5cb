"""SNIP (Lee, Ajanthan & Torr, ICLR 2019): connection sensitivity.

s_i = |∂L/∂c_i| at c = 1  =  |θ_i · ∂L/∂θ_i|
"""

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register("snip", paper="arXiv:1810.02340")
def snip(problem: Problem) -> Scores:
    """Connection sensitivity of the dense network, in one shot."""
    gradients = problem.gradients()
    return {name: (problem.dense[name] * gradient).abs() for name, gradient in gradients.items()}
