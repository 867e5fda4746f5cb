"""Which sweep, pruning and training a new process imports: those of this process, whatever folder it works in.

Python puts the working folder first on the path of ``python -c``, ``python -m`` and notebooks, and Ray on that of its
workers. A folder ``pruning/`` there, or a file ``training.py``, would be imported in the place of ours.
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

ROOT = str(Path(__file__).resolve().parents[1])  # the folder that our packages lie in
INSTALLED = Path(ROOT).name in ("site-packages", "dist-packages")  # as a copy, where Python looks by itself
_BESIDE = ("pruning", "training")
_VARIABLES = ("PYTHONSAFEPATH", "PYTHONPATH")


class _Ours(MetaPathFinder):
    """Finds the packages that lie beside this one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Ours, or None of what is not."""
        if fullname not in _BESIDE:
            return None
        folder = Path(ROOT) / fullname
        return spec_from_file_location(fullname, folder / "__init__.py", submodule_search_locations=[str(folder)])


def prefer_ours() -> None:
    """Import the packages that this one needs from where it lies itself, whatever else has their names."""
    if not any(isinstance(finder, _Ours) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Ours())


def put_root_first() -> None:
    """Have processes import ours that take over this process's path."""
    if not INSTALLED and sys.path[0] != ROOT:
        sys.path.insert(0, ROOT)


def variables() -> dict[str, str | None]:
    """Environment variables that :func:`for_new_processes` changes: a new process is to :func:`restore` them."""
    return {name: os.environ.get(name) for name in _VARIABLES}


@contextmanager
def for_new_processes() -> Iterator[None]:
    """Inside, a Python that is started imports ours and nothing from the working folder."""
    before = variables()
    folders = [] if INSTALLED else [ROOT]
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [before["PYTHONPATH"]])])
    try:
        yield
    finally:
        restore(before)


def restore(variables: dict[str, str | None]) -> None:
    """Set environment variables as they were."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def path() -> tuple[str, ...]:
    """This process's path, in names that mean the same in any folder."""
    return tuple(os.path.abspath(entry) for entry in sys.path)


def take_over(path: Sequence[str], *, same_machine: bool) -> None:
    """Look for modules where another process does: on its machine exactly there, elsewhere there last."""
    if same_machine:
        sys.path[:] = path
    else:
        sys.path.extend(entry for entry in path if entry not in sys.path and os.path.isdir(entry))
