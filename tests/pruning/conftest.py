"""The tests of this folder share small networks: ``from networks import …``; and trainings that are stopped."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "training")]
