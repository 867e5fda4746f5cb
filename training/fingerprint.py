"""A short fingerprint of a data set's images and labels, and a cache, so that unchanged files are not read again.

The fingerprint covers the stored bytes and the label of every image, in reading order, training before test. So it does
not depend on where the files are, and the same images in folders and in Parquet files have the same fingerprint.
"""

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from training.config import FINGERPRINT

_VERSION = 1  # of the fingerprint's definition; a new version invalidates caches
_MOST_ENTRIES = 1000  # in a cache file; older ones are removed
_SETTLED_SECONDS = 2.0  # a file changed more recently may change again with the same time stamp


class Stamp(NamedTuple):
    """The state of all files of a set: a digest of names, sizes and times, and the time of the latest change."""

    digest: str
    changed: float  # seconds since 1970


@dataclass
class PartDigest:
    """The running digest of one part: the stored bytes and label of every image."""

    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, image: bytes, label: int) -> None:
        """Add the next image in reading order."""
        self._hash.update(len(image).to_bytes(8, "little") + int(label).to_bytes(8, "little", signed=True))
        self._hash.update(image)

    def value(self) -> bytes:
        """The digest so far."""
        return self._hash.digest()


def combined(parts: Iterable[bytes]) -> str:
    """The fingerprint of a set from the digests of its training and its test part."""
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


class StampDigest:
    """Computes a :class:`Stamp` from files, added in reading order."""

    def __init__(self, *settings: object):
        """``settings``: config values that change how the files are read, such as column names."""
        self._hash, self._changed = hashlib.sha256(repr((_VERSION, *settings)).encode()), 0.0

    def add(self, path: Path, label: int | None = None) -> None:
        """Add a local file."""
        state = path.stat()
        # ctime too: it differs for a changed file whose mtime was set back
        self.add_state(os.path.abspath(path), state.st_size, (state.st_mtime_ns, state.st_ctime_ns), label)

    def add_state(self, path: str, size: int, times: tuple[int, ...], label: int | None = None) -> None:
        """Add a file by its path, size in bytes and times in nanoseconds."""
        self._hash.update(repr((path, size, times, label)).encode("utf-8", "surrogateescape"))
        self._changed = max(self._changed, *(nanoseconds / 1e9 for nanoseconds in times))

    def stamp(self) -> Stamp:
        """The stamp of all files added so far."""
        return Stamp(self._hash.hexdigest(), self._changed)


class FingerprintCache:
    """Fingerprints by stamp, in a small JSON file. Errors in reading or writing are ignored.

    Args:
        files: possible paths. All are read; the first whose folder exists or can be created is written.
    """

    def __init__(self, files: Sequence[Path] = ()):
        self._files = list(files)

    def find(self, stamp: Stamp) -> str | None:
        """The stored fingerprint of files in this state, if any."""
        for file in self._files:
            fingerprint = _entries(file).get(stamp.digest)
            if fingerprint is not None:
                return fingerprint
        return None

    def keep(self, stamp: Stamp, fingerprint: str) -> None:
        """Store the fingerprint, unless a file changed within the last two seconds."""
        if time.time() - stamp.changed < _SETTLED_SECONDS:
            return
        for file in self._files:
            with suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                entries = _entries(file)
                entries.pop(stamp.digest, None)
                recent = dict(list(entries.items())[1 - _MOST_ENTRIES :])
                _replace(file, json.dumps(recent | {stamp.digest: fingerprint}, indent=0))
                return


def _entries(file: Path) -> dict[str, str]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {key: value for key, value in entries.items() if isinstance(value, str) and re.fullmatch(FINGERPRINT, value)}


def _replace(file: Path, text: str) -> None:
    """Replace a file atomically."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, file)
    except BaseException:  # on Ctrl-C too, the temporary file is removed; then it is raised again
        with suppress(OSError):
            os.unlink(temporary)
        raise
