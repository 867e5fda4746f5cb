"""One paper a file. Importing this package registers every method, controls first."""

from pruning.methods import dense, random, erk, magnitude, snip, grasp, force, synflow  # noqa: F401, I001 (order = listing)
