"""Progressive skeletonization (de Jorge, Sanyal, Behl, Torr, Rogez & Dokania, ICLR 2021): SNIP in small steps.

    Iter-SNIP   s_i = |θ_i · g_i(θ⊙c_t)| among the weights that c_t keeps; removed weights stay removed
    FORCE       s_i = |θ_i · g_i(θ⊙c_t)| over all weights, g not masked by c_t; removed weights may be regrown
    Iter-GraSP  s_i = g_i(θ⊙c_t)² among the weights that c_t keeps

θ are the dense initial weights throughout, g is the gradient of the loss, and c_t the mask after round t, whose
density decreases exponentially (k_t = exp(t/T · log k + (1 − t/T) · log m)) or linearly. With one round, g is computed
at c = 1, and Iter-SNIP and FORCE are SNIP.

Authors' code: raw logits go to ``nll_loss``, so the loss is the mean negative logit of the right class, not the
cross-entropy: ``pruning.loss: logit``. Scores are computed in train mode, on augmented images, which are drawn again in
every round (all defaults here). T is 10 by default and 60 in the examples: ``rounds``, 60 here. The count of a round is
computed from the requested density and rounded down; here it is computed from the density of the exact final count and
rounded to nearest. All ties with the threshold are kept; here only as many as the count allows. One weight more or less
in one round changes most of the final mask: in the median 72 % of the kept weights, in float64 too. ``truncate: true``
uses their count in every round but the last, whose count stays exact: masks are then identical to theirs if no scores
tie and theirs end with that count too. Iter-GraSP is "GRASP-It" there: unlike GraSP, it has neither the weight, nor the
Hessian, nor the sign. The first version of the paper called Iter-SNIP "FORCE", and the example command of the code runs
Iter-SNIP (``--prune_method 1``); the names here are those of the published paper.
"""

from pruning.masks import Scores
from pruning.methods.snip import snip
from pruning.problem import Problem
from pruning.registry import register

PAPER = "arXiv:2006.09081"
ROUNDS = 60  # T of the authors' examples


@register(
    "iter_snip",
    paper=PAPER,
    rounds=ROUNDS,
    truncates=True,
    display_name="Iter-SNIP",
    colour="#5898c8",
    marker="^",
    dash="dashed",
)
def iter_snip(problem: Problem) -> Scores:
    """SNIP in many rounds; removed weights stay removed."""
    return snip(problem)


@register(
    "force",
    paper=PAPER,
    rounds=ROUNDS,
    truncates=True,
    recover=True,
    display_name="FORCE",
    colour="#b84808",
    marker="o",
    dash="solid",
)
def force(problem: Problem) -> Scores:
    """Foresight connection sensitivity in many rounds; removed weights may be regrown."""
    return snip(problem)


@register(
    "iter_grasp",
    paper=PAPER,
    rounds=ROUNDS,
    truncates=True,
    display_name="Iter-GraSP",
    colour="#18c898",
    marker="d",
    dash="long_short",
)
def iter_grasp(problem: Problem) -> Scores:
    """Squared gradient of the pruned network, in many rounds."""
    return {name: gradient.square() for name, gradient in problem.gradients(lent=True).items()}
