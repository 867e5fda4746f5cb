"""The digits that come with scikit-learn: nothing to fetch, so a first sweep needs no network."""

import numpy as np

from training.data_config import DataConfig
from training.sources.decode import resize
from training.sources.source import Images

_TEST_PER_CLASS = 36
_BRIGHTEST = 16  # what scikit-learn's pixels go up to


def present(config: DataConfig) -> bool:
    """Always: they are part of an installed package."""
    return True


def check(config: DataConfig) -> None:
    """Nothing can be missing."""


def load(config: DataConfig) -> tuple[Images, Images]:
    """1,437 training and 360 test images; the split is fixed, whatever the seed of a trial."""
    from sklearn.datasets import load_digits  # here, because it takes seconds to import

    digits = load_digits()
    pixels = np.round(digits.images * (255 / _BRIGHTEST)).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    # numpy promises that RandomState's stream never changes, which its newer generators do not
    order = np.random.RandomState(0).permutation(len(labels))
    is_test = np.zeros(len(labels), bool)
    for digit in range(10):
        is_test[order[labels[order] == digit][:_TEST_PER_CLASS]] = True

    def part(chosen: np.ndarray) -> Images:
        rows = np.flatnonzero(chosen)
        return Images(resize(pixels[rows], config.side), labels[rows], lambda row: f"scikit-learn's digit {rows[row]}")

    return part(~is_test), part(is_test)
