"""Erdős–Rényi kernel (Mocanu et al. 2018 for linear layers; Evci et al., ICML 2020, for convolutions).

    s_i ~ U(0, 1) within a layer;  density of layer l ∝ (n_in + n_out + k_h + k_w) / (n_in·n_out·k_h·k_w)

A layer whose share would pass density 1 is kept dense and the rest is solved again.
"""

from pruning.masks import Scores
from pruning.methods.random import random
from pruning.problem import Problem
from pruning.registry import register


@register("erk", paper="arXiv:1911.11134", data=False, scope="erk")
def erk(problem: Problem) -> Scores:
    """Random within layers, layer densities by the Erdős–Rényi kernel."""
    return random(problem)
