"""Folders that cost seconds to make: once for all test processes, where several run side by side."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from filelock import FileLock

T = TypeVar("T")


def folder_made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that ``make`` fills, in the first test process that asks for it; the others wait for it.

    Nobody may write to it afterwards: copy it first.

    Args:
        factory: pytest's ``tmp_path_factory``.
        name: of the folder, unlike those of all other fixtures.
        make: fills the folder, which exists and is empty.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = shared / "once" / name, shared / "once" / f"{name}.done"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not done.exists():
            make(folder)  # where it fails, the next process that asks fails in the same way
            done.touch()
    return folder


def value_made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[], T]) -> T:
    """The same for a value that can be pickled: each process has a copy of its own."""

    def dump(folder: Path) -> None:
        (folder / "value").write_bytes(pickle.dumps(make()))

    value: T = pickle.loads((folder_made_once(factory, name, dump) / "value").read_bytes())
    return value
