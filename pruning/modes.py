"""Contexts in which a network is scored: train or eval mode, and attention as separate operations."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from pruning.draws import gpus_of, seeded_draws
from pruning.functional import unchanged


@contextmanager
def scoring_mode(model: nn.Module, train: bool, seed: int = 0) -> Iterator[None]:
    """Put every module in train or eval mode; at the end, restore all their attributes and the random states.

    Inside, the global generators that networks draw from (dropout uses torch's) start at ``seed``.
    """
    with seeded_draws(seed, gpus_of(model)), unchanged(model):
        for module in model.modules():
            module.training = train
        yield


@contextmanager
def slow_attention() -> Iterator[None]:
    """Run attention as separate operations, which a dispatch mode can record, instead of one fused operation.

    PyTorch's encoder layers bypass ``nn.MultiheadAttention`` in evaluation; in this context they call it.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
