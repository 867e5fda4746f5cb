"""The tests of this folder share small networks: ``from networks import …``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
