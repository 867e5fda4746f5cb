"""The mode in which a network is scored."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from pruning.draws import gpus_of, seeded_draws
from pruning.functional import unchanged


@contextmanager
def scoring_mode(model: nn.Module, train: bool, seed: int = 0) -> Iterator[None]:
    """Put every module in train or eval mode; give each all its attributes back, and the random state, at the end.

    Inside, the global generators that networks draw from (dropout, from torch's) start at ``seed``.
    """
    with seeded_draws(seed, gpus_of(model)), unchanged(model):
        for module in model.modules():
            module.training = train
        yield


@contextmanager
def slow_attention() -> Iterator[None]:
    """Run attention by the operations that it is made of, not by one fast operation that none of them is seen in.

    PyTorch's encoder layers skip ``nn.MultiheadAttention`` in evaluation; here they call it.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
