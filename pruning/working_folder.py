"""The folder that a sweep is launched in, as a package: its ``nets.py`` can be imported as pruning.working_folder.nets.

Code of one's own whose name is taken by an installed package, or by one of ours, is imported from here. The names
are the same in every process that works in the folder, so that what is defined there can be pickled.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def path() -> Path:
    """The folder: the current one, links resolved."""
    return Path(os.path.realpath(os.getcwd()))


class _SearchPath:
    """Where Python looks for modules of this package: whatever the folder is at that moment."""

    def __iter__(self) -> Iterator[str]:
        return iter([str(path())])

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> str:
        return [str(path())][index]


__path__: Any = _SearchPath()
