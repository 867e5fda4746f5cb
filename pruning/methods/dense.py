"""The dense network: the control that every pruned network is compared with.

    s_i = 1, and nothing is removed

Run once per architecture and seed, at sparsity 0.
"""

import torch

from pruning.masks import Scores
from pruning.problem import Problem
from pruning.registry import register


@register(
    "dense",
    paper="control",
    time="control",
    data=False,
    removes=False,
    display_name="Dense",
    colour="#1a1a1a",
    marker="o",
    dash="dashed",
)
def dense(problem: Problem) -> Scores:
    """The dense network: removes nothing; run once per architecture and seed."""
    return {name: torch.ones_like(weight) for name, weight in problem.dense.items()}
