"""Folders for Ray's files during a launch. The next launch removes what a killed one left."""

import shutil
import tempfile
from pathlib import Path

from sweep.engines.on_ray.preconditions import refusal
from sweep.store.leases import Launch

PREFIX, OWNER = "sweep-", "owner.json"


def make(parent: Path) -> Path:
    """Make a folder with a file that names the process it belongs to.

    Raises:
        InputError: it cannot be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        (folder / OWNER).write_text(Launch().to_json())
    except OSError as error:
        raise refusal(f"it cannot write to {parent} ({error.strerror})") from None
    return folder


def clear(parent: Path) -> None:
    """Remove folders whose process ran on this machine and has ended."""
    for file in parent.glob(f"{PREFIX}*/{OWNER}"):
        try:
            owner = Launch.from_json(file.read_text())
        except (OSError, ValueError):  # just removed, or another user's
            continue
        if owner.is_here and owner.has_died:
            shutil.rmtree(file.parent, ignore_errors=True)
