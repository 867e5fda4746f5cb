"""The digits that come with scikit-learn: nothing to fetch, so a first sweep needs no network."""

import importlib.util
from pathlib import Path

import numpy as np

from training.config import DataConfig
from training.sources.decode import resize
from training.sources.known_content import contents as contents
from training.sources.known_content import stamp as stamp
from training.sources.known_content import summary as summary
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
    images, labels = _read()
    pixels = np.round(images * (255 / _BRIGHTEST)).astype(np.uint8)[..., None]
    # numpy promises that RandomState's stream never changes, which its newer generators do not
    order = np.random.RandomState(0).permutation(len(labels))
    is_test = np.zeros(len(labels), bool)
    for digit in range(10):
        is_test[order[labels[order] == digit][:_TEST_PER_CLASS]] = True

    def part(chosen: np.ndarray) -> Images:
        rows = np.flatnonzero(chosen)
        return Images(resize(pixels[rows], config.side), labels[rows], lambda row: f"scikit-learn's digit {rows[row]}")

    return part(~is_test), part(is_test)


def _read() -> tuple[np.ndarray, np.ndarray]:
    """What scikit-learn's load_digits returns, [1797, 8, 8] and [1797], out of the file that it reads.

    To import scikit-learn for it would take every launch longer than all else that it does with the images.
    """
    package = importlib.util.find_spec("sklearn")
    folders = package.submodule_search_locations if package else None
    file = Path(folders[0] if folders else "", "datasets", "data", "digits.csv.gz")
    if not file.is_file():  # another version may keep it elsewhere
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
    else:
        rows = np.loadtxt(file, delimiter=",")
        images, labels = rows[:, :-1], rows[:, -1]
    return images.reshape(-1, 8, 8), labels.astype(np.int64)
