"""Erdős–Rényi kernel (Mocanu et al. 2018 for linear layers; Evci et al., ICML 2020, for convolutions).

    s_i ~ U(0, 1) within a layer;  density of layer l ∝ (n_in + n_out + k_h + k_w) / (n_in·n_out·k_h·k_w)

A layer whose share would pass density 1 is kept dense and the rest is solved again.

Authors' code: the code of RigL solves for the same densities, but rounds the weights removed down in every layer, so
that its total is a little above what was asked for; here it is exact. For 99 % its authors kept the first layer of
ResNet-50 dense, which no option here does.
"""

from pruning.masks import Scores
from pruning.methods.random import random
from pruning.problem import Problem
from pruning.registry import register


@register("erk", paper="control, arXiv:1911.11134", time="control", data=False, scope="erk")
def erk(problem: Problem) -> Scores:
    """Random within layers, layer densities by the Erdős–Rényi kernel."""
    return random(problem)
