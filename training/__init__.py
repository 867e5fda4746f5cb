"""Training: data sets, networks, the training config and the loop. Independent of sweeps."""

__version__ = "0.1.0"
