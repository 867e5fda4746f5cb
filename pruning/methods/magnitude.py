"""Magnitude at initialization: the classic saliency, here before any training.

    s_i = |θ_i|

One global threshold compares layers by their initial scale, so what it removes is an artefact of the initialisation:
under fan-in Kaiming the widest layers go first, and a classifier with a smaller initial scale may vanish whole.
``scope`` or ``floor`` keeps layers from competing.

Authors' code: none for this use; it is a baseline in the code of SynFlow, one-shot and global, as here. Han et al.
(2015), whose saliency it is, remove weights after training.
"""

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register("magnitude", paper="arXiv:1506.02626 (there after training)", data=False)
def magnitude(problem: Problem) -> Scores:
    """Absolute value of the initial weight."""
    return {name: weight.abs() for name, weight in problem.dense.items()}
