"""Make new processes import the same sweep, pruning and training as this process, whatever their working folder.

Python puts the working folder first on the path of ``python -c``, ``python -m`` and notebooks, and Ray on that of its
workers. A folder ``pruning/`` there, or a file ``training.py``, would be imported instead of ours.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = str(Path(__file__).resolve().parents[1])  # the folder of our packages
INSTALLED = Path(ROOT).name in ("site-packages", "dist-packages")  # then Python finds them without our help
_SIBLINGS = ("pruning", "training")
_VARIABLES = ("PYTHONSAFEPATH", "PYTHONPATH")


class _SiblingFinder(MetaPathFinder):
    """Finds the packages in the same folder as this one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a sibling package; None for any other module, which leaves it to the other finders."""
        if fullname not in _SIBLINGS:
            return None
        folder = Path(ROOT) / fullname
        return spec_from_file_location(fullname, folder / "__init__.py", submodule_search_locations=[str(folder)])


def prefer_ours() -> None:
    """Import the sibling packages from this one's folder, even if others of their names come first on the path."""
    if not any(isinstance(finder, _SiblingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SiblingFinder())


def put_root_first() -> None:
    """Put our folder first on this process's path, for processes that :func:`take_over` it."""
    if not INSTALLED and sys.path[0] != ROOT:
        sys.path.insert(0, ROOT)


def variables() -> dict[str, str | None]:
    """The environment variables that :func:`for_new_processes` changes; a new process should :func:`restore` them."""
    return {name: os.environ.get(name) for name in _VARIABLES}


@contextmanager
def for_new_processes() -> Iterator[None]:
    """A Python started inside the block imports our packages and nothing from its working folder."""
    before = variables()
    folders = [] if INSTALLED else [ROOT]
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [before["PYTHONPATH"]])])
    try:
        yield
    finally:
        restore(before)


def restore(variables: dict[str, str | None]) -> None:
    """Set environment variables to these values; None removes one."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def path() -> tuple[str, ...]:
    """This process's ``sys.path`` as absolute paths."""
    return tuple(os.path.abspath(entry) for entry in sys.path)


def take_over(path: Sequence[str], *, same_machine: bool) -> None:
    """Search for modules on another process's path. On another machine its existing folders come after our own."""
    if same_machine:
        sys.path[:] = path
    else:
        sys.path.extend(entry for entry in path if entry not in sys.path and os.path.isdir(entry))
