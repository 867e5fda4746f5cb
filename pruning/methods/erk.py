"""Erdős–Rényi kernel (Mocanu et al. 2018 for linear layers; Evci et al., ICML 2020, for convolutions).

    s_i ~ U(0, 1) within a layer;  density of layer l ∝ (n_in + n_out + k_h + k_w) / (n_in·n_out·k_h·k_w)

A layer whose density would exceed 1 stays dense, and the densities of the others are solved for again.

Authors' code: RigL's code solves for the same densities, but rounds the number of removed weights down in every layer,
so that it keeps slightly more weights than requested; here the total is exact. At 99 % its authors kept the first layer
of ResNet-50 dense, which no option here does.
"""

from pruning.masks import Scores
from pruning.methods.random import random
from pruning.problem import Problem
from pruning.registry import register


@register(
    "erk",
    paper="control, arXiv:1911.11134",
    time="control",
    data=False,
    scope="erk",
    display_name="ERK",
    colour="#685848",
    marker="D",
    dash="dashed",
)
def erk(problem: Problem) -> Scores:
    """Random within layers; layer densities by the Erdős–Rényi kernel."""
    return random(problem)
