"""The folder that a sweep is launched in, as a package: its ``nets.py`` can be imported as pruning.working_folder.nets.

User code whose module name is also that of an installed package is imported through this one. Its module names are the
same in every process with this working folder, so that its classes and functions can be pickled.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def path() -> Path:
    """The current folder, with symbolic links resolved."""
    return Path(os.path.realpath(os.getcwd()))


class _SearchPath:
    """The package's ``__path__``: the current folder at the time of each import."""

    def __iter__(self) -> Iterator[str]:
        return iter([str(path())])

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> str:
        return [str(path())][index]


__path__: Any = _SearchPath()
