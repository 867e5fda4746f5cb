"""A short fingerprint of the images and labels of a data set, and a cache, so that an unchanged set is not read again.

The fingerprint is over the stored bytes of every image and its label, in the order in which they are read, training
before test: so it is the same wherever the files lie, and for the same images in folders and in Parquet files.
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

_VERSION = 1  # of what a fingerprint is over: another one makes nothing of caches
_MOST_ENTRIES = 1000  # of a cache file: older ones are dropped
_SETTLED_SECONDS = 2.0  # a file changed less long ago may change again without another time


class Stamp(NamedTuple):
    """The state of all files of a set: a digest of their names, sizes and times, and when one was changed last."""

    digest: str
    changed: float  # seconds since 1970


@dataclass
class PartDigest:
    """The running digest of one part: of each image its stored bytes and its label."""

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
    """Makes a :class:`Stamp`, file by file in reading order."""

    def __init__(self, *settings: object):
        """``settings``: what else decides how the files are read, such as the columns."""
        self._hash, self._changed = hashlib.sha256(repr((_VERSION, *settings)).encode()), 0.0

    def add(self, path: Path, label: int | None = None) -> None:
        """Add a local file."""
        state = path.stat()
        # ctime: a file that is changed and then given its earlier mtime again has another one
        self.add_state(os.path.abspath(path), state.st_size, (state.st_mtime_ns, state.st_ctime_ns), label)

    def add_state(self, path: str, size: int, times: tuple[int, ...], label: int | None = None) -> None:
        """Add a file by its path, size in bytes and times in nanoseconds."""
        self._hash.update(repr((path, size, times, label)).encode("utf-8", "surrogateescape"))
        self._changed = max(self._changed, *(nanoseconds / 1e9 for nanoseconds in times))

    def stamp(self) -> Stamp:
        """Of all files added."""
        return Stamp(self._hash.hexdigest(), self._changed)


class FingerprintCache:
    """Fingerprints by stamp, in a small JSON file. What cannot be read or written is ignored: it is only a cache.

    Args:
        files: where it may lie. All are read; the first whose folder is there or can be made is written.
    """

    def __init__(self, files: Sequence[Path] = ()):
        self._files = list(files)

    def find(self, stamp: Stamp) -> str | None:
        """The fingerprint of files in this state."""
        for file in self._files:
            fingerprint = _entries(file).get(stamp.digest)
            if fingerprint is not None:
                return fingerprint
        return None

    def keep(self, stamp: Stamp, fingerprint: str) -> None:
        """Remember the fingerprint, unless a file was changed only just now."""
        if time.time() - stamp.changed < _SETTLED_SECONDS:
            return
        for file in self._files:
            with suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                entries = _entries(file)
                entries.pop(stamp.digest, None)
                kept = dict(list(entries.items())[1 - _MOST_ENTRIES :])
                _replace(file, json.dumps(kept | {stamp.digest: fingerprint}, indent=0))
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
    """Write a file so that it is whole or as it was."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, file)
    except BaseException:  # Ctrl-C, too, leaves no temporary file behind; it is raised again
        with suppress(OSError):
            os.unlink(temporary)
        raise
