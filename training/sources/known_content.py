"""Functions of sources whose content the name determines: built in, or verified by the authors' checksums."""

from training.config import DataConfig
from training.fingerprint import Stamp


def stamp(config: DataConfig) -> Stamp | None:
    """None, as the images need no fingerprint."""
    return None


def counts(config: DataConfig) -> tuple[int, int] | None:
    """None, as `training.datasets` has them."""
    return None


def contents(config: DataConfig) -> tuple[bytes, bytes]:
    """Not called, as :func:`stamp` is None."""
    raise NotImplementedError


def summary(config: DataConfig) -> str:
    """Empty, as the file names are fixed."""
    return ""
