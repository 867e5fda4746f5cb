"""Training: data sets, networks, the training config and the loop. Independent of sweeps."""
