"""Folders for Ray's files while a launch lives. What a killed launch has left, the next one removes."""

import shutil
import tempfile
from pathlib import Path

from sweep.engines.on_ray.preconditions import refusal
from sweep.store.leases import Launch

PREFIX, OWNER = "sweep-", "owner.json"


def make(parent: Path) -> Path:
    """A new one, that says which process it belongs to.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        (folder / OWNER).write_text(Launch().to_json())
    except OSError as error:
        raise refusal(f"it cannot write to {parent} ({error.strerror})") from None
    return folder


def clear(parent: Path) -> None:
    """Remove those of processes of this machine that have ended."""
    for file in parent.glob(f"{PREFIX}*/{OWNER}"):
        try:
            owner = Launch.from_json(file.read_text())
        except (OSError, ValueError):  # removed since, or another user's
            continue
        if owner.is_here and owner.has_died:
            shutil.rmtree(file.parent, ignore_errors=True)
