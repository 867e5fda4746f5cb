"""Progressive skeletonization (de Jorge, Sanyal, Behl, Torr, Rogez & Dokania, ICLR 2021).

    Iter-SNIP   s_i = |θ_i · g_i(θ⊙c_t)| among the weights that c_t keeps; a removed weight never returns
    FORCE       s_i = |θ_i · g_i(θ⊙c_t)| over all weights, g not blocked by c_t; removed weights may come back
    Iter-GraSP  s_i = g_i(θ⊙c_t)² among the weights that c_t keeps (the authors' "GRASP-It")

θ are the dense initial weights throughout. With one round all of g is taken at c = 1, and Iter-SNIP and FORCE are
SNIP. (The first arXiv version called Iter-SNIP "FORCE"; the names here are those of the published paper.)
"""

from pruning.masks import Scores
from pruning.methods.snip import snip
from pruning.problem import Problem
from pruning.registry import register

PAPER = "arXiv:2006.09081"
ROUNDS = 60  # T of the authors' examples


@register("iter_snip", paper=PAPER, rounds=ROUNDS)
def iter_snip(problem: Problem) -> Scores:
    """SNIP in many small steps; removed weights stay removed."""
    return snip(problem)


@register("force", paper=PAPER, rounds=ROUNDS, recover=True)
def force(problem: Problem) -> Scores:
    """Foresight connection sensitivity: many small steps; removed weights may come back."""
    return snip(problem)


@register("iter_grasp", paper=PAPER, rounds=ROUNDS)
def iter_grasp(problem: Problem) -> Scores:
    """Squared gradient of the pruned network, in many small steps."""
    return {name: gradient.square() for name, gradient in problem.gradients().items()}
