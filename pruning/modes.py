"""The mode in which a network is scored."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from pruning.draws import seeded_draws


@contextmanager
def scoring_mode(model: nn.Module, train: bool, seed: int = 0) -> Iterator[None]:
    """Put every module in train or eval mode; give each its own flag back, and the random state, at the end.

    Inside, the global generators that networks draw from (dropout, from torch's) start at ``seed``.
    """
    flags = {module: module.training for module in model.modules()}
    try:
        with seeded_draws(seed):
            _set_flags(dict.fromkeys(flags, train))
            yield
    finally:
        _set_flags(flags)


def _set_flags(flags: Mapping[nn.Module, bool]) -> None:
    for module, training in flags.items():
        module.training = training
