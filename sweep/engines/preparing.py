"""What engines say to a display that they do before trials run. Imports no torch."""

from training.config import DataConfig


def reading(data: DataConfig) -> str:
    """``reading CIFAR-10``."""
    from sweep.report.names import data_name

    return f"reading {data_name(data.name, None)}"
