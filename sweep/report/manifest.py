"""Which files in a folder a report wrote: the next report removes those of them that it no longer writes."""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

MANIFEST = ".written.json"  # writer -> file name -> sha256 of what was written


def keep_only(folder: Path, writer: str, written: Iterable[Path]) -> None:
    """Remove what an earlier report left in ``folder`` and this one did not write again, and note what this one wrote.

    Only files that the manifest names and whose contents are still those that were written are removed. A manifest
    that cannot be read or written is no failure: then nothing is removed.

    Args:
        folder: of the report.
        writer: "report" or "verdict", which may share a folder.
        written: files in ``folder``.
    """
    manifest = _read(folder)
    now = {path.name: _digest(path) for path in written}
    for name, digest in manifest.get(writer, {}).items():
        path = folder / name
        if name not in now and Path(name).name == name and not path.is_symlink() and path.is_file():
            with contextlib.suppress(OSError):
                if _digest(path) == digest:
                    path.unlink()
    with contextlib.suppress(OSError):
        (folder / MANIFEST).write_text(json.dumps(manifest | {writer: now}, indent=1), encoding="utf-8")


def _read(folder: Path) -> dict[str, dict[str, str]]:
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {writer: files for writer, files in found.items() if isinstance(files, dict)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
