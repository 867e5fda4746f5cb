"""The network of a trial: an architecture of the grid, made for the images of a data set."""

from typing import cast

from torch import nn

from sweep.axes import Choice
from training import data, models


def build_network(architecture: Choice, config: data.DataConfig) -> nn.Module:
    """The architecture for a (resolved) data set's images and classes, initialised from torch's global generator."""
    channels, classes = data.info(config.name).channels, cast(int, config.classes)
    options = dict(architecture.options)
    return models.build(architecture.name, classes=classes, channels=channels, size=config.side, **options)
