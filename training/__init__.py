"""The science of fitting: data, networks, the recipe and the loop. Knows nothing of pruning or of sweeps."""
