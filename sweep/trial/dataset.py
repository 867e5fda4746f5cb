"""The images of a trial or sweep, checked against its settings."""

import logging
import time
from collections.abc import Callable

import pruning
from pruning.config import PruneConfig
from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.errors import InputError
from sweep.trial.setup import AnyDataset
from training import data

LOG_SECONDS = 30.0  # between two lines on a cache that is being filled
logger = logging.getLogger(__name__)


def load_data(config: SweepConfig | TrialConfig) -> AnyDataset:
    """Load the images of a sweep or trial for this machine, as :func:`listed_data`, and fill its cache.

    Raises:
        DataError, InputError: as there; or the cache cannot be filled.
    """
    dataset = listed_data(config)
    return data.localised(dataset, Seldom(logger.warning)) if isinstance(dataset, data.StreamedDataset) else dataset


class Seldom:
    """Passes on a text after half a minute, and then at most one in each."""

    def __init__(self, log: Callable[[str], object]):
        self._log, self._next = log, time.monotonic() + LOG_SECONDS

    def __call__(self, text: str) -> None:
        """Pass it on, or leave it out."""
        """Pass it on, or leave it out."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LOG_SECONDS
            self._log(text)


def listed_data(config: SweepConfig | TrialConfig) -> AnyDataset:
    """Load the images of a sweep or trial, and check that there are enough of them for its settings.

    Of a streamed set with a cache only the list is made: any machine can fill its cache with it.

    Raises:
        DataError: the data cannot be read.
        InputError: there are fewer images than are held out, or than pruning draws.
    """
    dataset, settings = data.load(config.data), config.pruning
    try:
        left = len(data.split(dataset, config.data, 0, "cpu").train)
    except ValueError as error:
        raise InputError(f"data.{error}") from None
    check_enough(settings, left)
    if settings.sampling == "balanced":
        _check_balanced(config, dataset)
    return dataset


def check_enough(settings: PruneConfig, left: int) -> None:
    """Check that so many training images are enough for a round of pruning.

    Raises:
        InputError: they are not.
    """
    asked = settings.batches * settings.batch_size
    if asked > left:
        raise InputError(
            f"pruning.batch_size: a round draws {asked} images, but there are only {left} to train on; "
            f"lower it: --set pruning.batch_size={max(1, left // settings.batches)}"
        )


def _check_balanced(config: SweepConfig | TrialConfig, dataset: AnyDataset) -> None:
    """Check that each seed's training split has enough images of each class for every method's balanced draws."""
    settings = config.pruning
    methods = (config.method,) if isinstance(config, TrialConfig) else config.grid.used("method")
    seeds = (config.seed,) if isinstance(config, TrialConfig) else config.grid.used("seed")
    needed = max(pruning.find(m.name).batches(pruning.find(m.name).options | dict(m.options)) for m in methods)
    draws = [settings.batches * settings.batch_size]
    if needed > settings.batches:  # further batches are drawn singly
        draws.append(settings.batch_size)
    for seed in seeds:
        sizes = data.training_class_sizes(dataset, config.data, seed)
        sizes = sizes[sizes > 0]
        smallest, classes = int(sizes.min()), len(sizes)
        for count in draws:
            if count % classes or count > smallest * classes:
                per_class = min(max(1, round(settings.batch_size / classes)), smallest // settings.batches)
                raise InputError(
                    f"pruning.batch_size: sampling is balanced, but {count} images cannot be drawn equally from"
                    f" {classes} classes of at least {smallest} images (seed {seed});"
                    f" set {f'it to {per_class * classes}' if per_class else 'pruning.sampling=random'}"
                )
