"""Magnitude at initialization: the classic saliency, applied before training.

    s_i = |θ_i|

One global threshold compares layers by their initial scale, so what it removes is an artefact of the initialisation:
under fan-in Kaiming the widest layers lose most weights, and a classifier with a smaller initial scale may become
empty. ``scope`` or ``floor`` prevents layers from competing.

Authors' code: none for this use; it is a baseline in SynFlow's code, one-shot and global, as here. Han et al. (2015)
introduced this saliency for removing weights after training.
"""

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register(
    "magnitude",
    paper="arXiv:1506.02626 (there after training)",
    data=False,
    display_name="Magnitude",
    colour="#c8b808",
    marker="h",
    dash="dashed",
)
def magnitude(problem: Problem) -> Scores:
    """Absolute value of the initial weight."""
    return {name: weight.abs() for name, weight in problem.dense.items()}
