"""One paper per file. Importing this package registers every method; lists of methods have the order of imports."""

from pruning.methods import dense, random, erk, magnitude  # noqa: F401, I001 (controls)
from pruning.methods import snip, grasp, force, synflow, ntk_sap, prospr, phew  # noqa: F401 (at initialization)
from pruning.methods import sparse_evolution, rigl  # noqa: F401 (during training)
from pruning.methods import magnitude_after, lottery  # noqa: F401 (after training)
