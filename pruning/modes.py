"""The mode in which a network is scored."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

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
