"""Where a report goes unless told."""

import os
from pathlib import Path

from sweep.errors import InputError
from sweep.store import Store


def report_folder(store: Store, name: str) -> Path:
    """Where the report of a sweep goes: inside a local store, else under ``./results``.

    Raises:
        InputError: a link in the store leads out of it, there or in that folder.
    """
    if store.local is None:
        return Path.cwd() / "results" / "reports" / name
    folder, inside = store.local / "reports" / name, Path(os.path.realpath(store.local)) / "reports" / name
    found = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    for path, expected in ((folder, inside), *((folder / each, inside / each) for each in found)):
        if Path(os.path.realpath(path)) != expected:
            raise InputError(f"report: {path} leads out of the store; remove the link, or name a folder with --out")
    return folder
