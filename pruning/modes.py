"""The mode in which a network is scored."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def scoring_mode(model: nn.Module, train: bool, seed: int = 0) -> Iterator[None]:
    """Put every module in train or eval mode; give each its own flag back, and the random state, at the end.

    Inside, torch's global generator (dropout draws from it) starts at ``seed``.
    """
    flags = {module: module.training for module in model.modules()}
    cuda = range(torch.cuda.device_count())
    try:
        with torch.random.fork_rng(devices=cuda):
            torch.manual_seed(seed)
            _set_flags(dict.fromkeys(flags, train))
            yield
    finally:
        _set_flags(flags)


def _set_flags(flags: Mapping[nn.Module, bool]) -> None:
    for module, training in flags.items():
        module.training = training
