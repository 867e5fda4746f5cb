"""The folder of a report: where it is, and which files in it an earlier report left.

The next report removes those of them that it no longer writes.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from sweep.errors import InputError
from sweep.store import Store

MANIFEST = ".written.json"  # writer -> file name -> sha256 of what was written


def report_folder(store: Store, name: str) -> Path:
    """The default folder for the report of a sweep: inside a local store, else under ``./results``.

    Raises:
        InputError: the folder, or a file in it, is a link that leads out of the store.
    """
    if store.local is None:
        return Path.cwd() / "results" / "reports" / name
    folder, inside = store.local / "reports" / name, Path(os.path.realpath(store.local)) / "reports" / name
    files = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    for path, expected in ((folder, inside), *((folder / file, inside / file) for file in files)):
        if Path(os.path.realpath(path)) != expected:
            raise InputError(f"report: {path} leads out of the store; remove the link, or name a folder with --out")
    return folder


def remove_outdated(folder: Path, writer: str, written: Iterable[Path]) -> None:
    """Remove what an earlier report left in ``folder`` and this one did not write again; record what this one wrote.

    Only files that the manifest names and whose contents are unchanged since are removed. If the manifest cannot be
    read, nothing is removed; if it cannot be written, the next report removes nothing of this one.

    Args:
        folder: of the report.
        writer: "report" or "verdict", which may share a folder.
        written: files in ``folder``.
    """
    manifest = _read_manifest(folder)
    digests = {path.name: _digest(path) for path in written}
    for name, digest in manifest.get(writer, {}).items():
        path = folder / name
        if name not in digests and Path(name).name == name and not path.is_symlink() and path.is_file():
            with contextlib.suppress(OSError):
                if _digest(path) == digest:
                    path.unlink()
    with contextlib.suppress(OSError):
        (folder / MANIFEST).write_text(json.dumps(manifest | {writer: digests}, indent=1), encoding="utf-8")


def _read_manifest(folder: Path) -> dict[str, dict[str, str]]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(manifest, dict):
        return {}
    return {writer: files for writer, files in manifest.items() if isinstance(files, dict)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
