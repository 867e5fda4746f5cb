"""A folder of files, on a local disk or an object store: each file is whole or absent."""

import contextlib
import errno
import os
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from sweep.errors import InputError, StoreError
from sweep.text import one_line, redacted
from training.config import check_path

T = TypeVar("T")
RETRIES = (0.5, 2.0, 8.0)  # seconds before another attempt to reach an object store
_ABANDONED = 3600.0  # seconds after which nobody is still at writing a file
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{32}\.tmp")
_FOLDERS = 8  # how often a folder may be removed while something is put into it
_AT_ONCE = 32  # files deleted, or requests to an object store
_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT}
_GONE = "NO_SUCH_KEY"  # says S3 of what has been deleted since it was opened
_REFUSED = (  # what S3 says that no further attempt will change
    "ACCESS_DENIED", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", _GONE,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A file in a listing: its name without the folder, bytes, and seconds since 1970 by the storage's clock."""

    name: str
    size: int
    changed: float


class Files:
    """Files in folders below one root. Names are relative: ``trials/….parquet``.

    Attributes:
        uri: an absolute path or a URI, as given; may hold a secret.
        name: the same for people, without secrets.
        local: the folder, or None where it is not on a local disk.

    Raises:
        InputError: not a folder, not a known kind of URI.
    """

    def __init__(self, uri: str | Path):
        text = os.path.expanduser(str(uri))
        if "://" not in text:
            text = os.path.abspath(text)
        self.uri, self.name = text, redacted(one_line(text, 5000))
        self.fs: pafs.FileSystem = pafs.LocalFileSystem()
        self.root: str = text
        try:
            if "\0" in text:
                raise ValueError("a name holds no NUL")
            check_path(str(uri))
            if "://" in text:
                self.fs, self.root = _opened(text)
        except (pa.ArrowException, OSError, ValueError) as error:
            why = f"{redacted(one_line(str(error)))}; use a folder, s3://bucket/prefix or gs://bucket/prefix"
            raise InputError(f"store: {self.name}: {why}") from None
        self.local = Path(self.root) if isinstance(self.fs, pafs.LocalFileSystem) else None
        if self.local is not None and _is_file(self.local):
            raise InputError(f"store: {self.name} is a file; name a folder, with --set store=DIR")

    def __reduce__(self) -> tuple[type["Files"], tuple[str]]:
        return Files, (self.uri,)

    def path(self, name: str) -> str:
        """Where a file lies, as pyarrow's file system has it."""
        return f"{self.root}/{name}"

    def entries(self, folder: str) -> list[Entry]:
        """The files in a folder, by name; none where there is no such folder.

        Raises:
            StoreError: the store cannot be reached.
        """
        return sorted(self._reached(f"list {folder} of", lambda: self._list(folder)), key=lambda entry: entry.name)

    def names(self, folder: str) -> list[str]:
        """The names of :meth:`entries`, which on a local disk are told without a look at each file."""
        if self.local is None:
            return [entry.name for entry in self.entries(folder)]
        there = self.local / folder
        return sorted(self._reached(f"list {folder} of", lambda: [entry.name for entry in _files(there)]))

    def read(self, name: str) -> bytes | None:
        """What is in a file; None where there is none.

        Raises:
            StoreError: it is there and cannot be read, or the store cannot be reached.
        """

        def work() -> bytes | None:
            try:
                with self.fs.open_input_file(self.path(name)) as stream:
                    return stream.read()
            except OSError as error:
                if isinstance(error, FileNotFoundError) or _GONE in str(error):
                    return None
                raise

        return self._reached(f"read {name} of", work)

    def put(self, name: str, data: Any, *, synced: bool = True) -> None:
        """Write ``data`` (bytes or a buffer), in the place of an earlier file of the name.

        Args:
            name: with its folder.
            data: all of it.
            synced: whether it, and its name, are to be on a local disk before this returns. If not, it survives the
                end of every process, but a power cut may leave half of it.

        Raises:
            StoreError: it cannot be written; an earlier file is as it was.
        """
        self._reached(f"write {name} to", lambda: self._put(name, data, synced))

    def delete(self, *names: str) -> None:
        """Delete files, if they are there.

        Raises:
            StoreError: one cannot be deleted.
        """
        with ThreadPoolExecutor(_AT_ONCE if len(names) > 1 else 1) as pool:  # it waits for the disk, or for answers
            list(pool.map(self._delete, names))

    def clear(self) -> None:
        """Delete what writers that were killed have left of files half written, an hour ago or more."""
        for path in self.local.glob("*/.*.tmp") if self.local is not None else ():
            with contextlib.suppress(OSError):
                if _TEMPORARY.fullmatch(path.name) and path.stat().st_mtime < time.time() - _ABANDONED:
                    path.unlink()

    def remove_empty(self, folder: str, root: bool) -> None:
        """Remove a local folder, and the root as well if asked to, where there is nothing in them."""
        if self.local is not None:
            with contextlib.suppress(OSError):
                (self.local / folder).rmdir()
                if root:
                    self.local.rmdir()

    def move(self, name: str, target: str) -> None:
        """Give a file another name.

        Raises:
            StoreError: it cannot be.
        """

        def work() -> None:
            if self.local is not None:
                Path(self.path(target)).parent.mkdir(parents=True, exist_ok=True)
            self.fs.move(self.path(name), self.path(target))

        self._reached(f"move {name} in", work)

    def check_writable(self) -> None:
        """Make sure, before hours of work, that files can be kept. Leaves nothing behind.

        Raises:
            InputError: the folder cannot be made or written to, or the bucket cannot be reached.
        """
        try:
            if self.local is None:
                self.fs.get_file_info(self.root)
                return
            nearest = next(folder for folder in (self.local, *self.local.parents) if folder.exists())
            with tempfile.TemporaryFile(dir=nearest):
                pass
        except OSError as error:
            raise InputError(
                f"store: cannot write to {self.name}: {_reason(error)}; name another with --set store=DIR"
            ) from None

    def _reached(self, what: str, work: Callable[[], T]) -> T:
        """What ``work`` returns; where the store is not on a local disk, it may take several attempts."""
        for pause in (*RETRIES, None):
            try:
                return work()
            except OSError as error:
                if self.local is not None or pause is None or _is_hopeless(error):
                    raise StoreError(f"store: cannot {what} {self.name}: {_reason(error)}") from error
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _list(self, folder: str) -> list[Entry]:
        if self.local is not None:
            return list(_scan(self.local / folder))
        selector = pafs.FileSelector(self.path(folder), allow_not_found=True)
        found = [info for info in self.fs.get_file_info(selector) if info.type == pafs.FileType.File]
        return [Entry(info.base_name, info.size, info.mtime.timestamp() if info.mtime else 0.0) for info in found]

    def _put(self, name: str, data: Any, synced: bool) -> None:
        if self.local is not None:
            _write_atomically(self.local / name, data, synced)
            return
        with self.fs.open_output_stream(self.path(name)) as stream:
            stream.write(data)

    def _delete(self, name: str) -> None:
        def work() -> None:
            with contextlib.suppress(FileNotFoundError):
                self.fs.delete_file(self.path(name))

        self._reached(f"delete {name} of", work)


def _opened(uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a URI and the path there; small files are put on S3 in one request, where pyarrow can."""
    if uri.startswith("s3://"):
        with contextlib.suppress(pa.ArrowException, OSError, ValueError):
            return pafs.FileSystem.from_uri(f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true")
    return pafs.FileSystem.from_uri(uri)


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except OSError as error:
        raise InputError(f"store: {path}: {_reason(error)}; name another with --set store=DIR") from None


def _files(folder: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return


def _scan(folder: Path) -> Iterator[Entry]:
    for entry in _files(folder):
        with contextlib.suppress(FileNotFoundError):  # deleted since
            status = entry.stat()
            yield Entry(entry.name, status.st_size, status.st_mtime)


def _write_atomically(path: Path, data: Any, synced: bool) -> None:
    """Write beside ``path``, sync, rename, sync the folder: after a crash the file is whole or as it was."""
    for attempt in range(_FOLDERS):
        try:
            _write_beside(path, data, synced)
            return
        except (FileNotFoundError, FileExistsError):  # somebody found the folder empty and removes it just now
            if attempt == _FOLDERS - 1:
                raise


def _write_beside(path: Path, data: Any, synced: bool) -> None:
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if synced:
            for folder in (path.parent, *(each.parent for each in made)):
                _sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk: without it a power cut takes a file that has just been renamed."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that syncs no folders
            raise
    finally:
        os.close(descriptor)


def _is_hopeless(error: OSError) -> bool:
    return error.errno in _HOPELESS or any(code in str(error) for code in _REFUSED)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else redacted(str(error).partition("\n")[0])
