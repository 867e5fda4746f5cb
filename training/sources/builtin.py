"""The digits that are part of scikit-learn, so that a first sweep needs no download."""

import importlib.util
from pathlib import Path

import numpy as np

from training.config import DataConfig
from training.sources.decode import resize
from training.sources.interface import Images
from training.sources.known_content import contents as contents
from training.sources.known_content import counts as counts
from training.sources.known_content import stamp as stamp
from training.sources.known_content import summary as summary

_TEST_PER_CLASS = 36
_BRIGHTEST = 16  # the maximum of scikit-learn's pixels


def present(config: DataConfig) -> bool:
    """Always True: they are part of an installed package."""
    return True


def check(config: DataConfig) -> None:
    """Nothing to check."""


def load(config: DataConfig) -> tuple[Images, Images]:
    """1,437 training and 360 test images; the split is the same for every seed."""
    images, labels = _read()
    pixels = np.round(images * (255 / _BRIGHTEST)).astype(np.uint8)[..., None]
    # numpy guarantees that RandomState's stream never changes, unlike those of its newer generators
    order = np.random.RandomState(0).permutation(len(labels))
    is_test = np.zeros(len(labels), bool)
    for digit in range(10):
        is_test[order[labels[order] == digit][:_TEST_PER_CLASS]] = True

    def part(selected: np.ndarray) -> Images:
        rows = np.flatnonzero(selected)
        return Images(resize(pixels[rows], config.side), labels[rows], lambda row: f"scikit-learn's digit {rows[row]}")

    return part(~is_test), part(is_test)


def _read() -> tuple[np.ndarray, np.ndarray]:
    """The images [1797, 8, 8] and labels [1797] of scikit-learn's load_digits, read from its file.

    Importing scikit-learn would take longer than everything else that is done with the images.
    """
    package = importlib.util.find_spec("sklearn")
    folders = package.submodule_search_locations if package else None
    file = Path(folders[0] if folders else "", "datasets", "data", "digits.csv.gz")
    if not file.is_file():  # another version may have it elsewhere
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
    else:
        rows = np.loadtxt(file, delimiter=",")
        images, labels = rows[:, :-1], rows[:, -1]
    return images.reshape(-1, 8, 8), labels.astype(np.int64)
