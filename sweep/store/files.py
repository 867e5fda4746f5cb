"""A folder of files on a local disk or an object store. Each file is complete or absent."""

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
_ABANDONED = 3600.0  # seconds after which no process is still writing a temporary file
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{32}\.tmp")
_FOLDER_ATTEMPTS = 8  # to write into a folder that others keep removing
_THREADS = 32  # that delete files
_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT}
_GONE = "NO_SUCH_KEY"  # S3's error for an object that was deleted after it was opened
_REFUSED = (  # S3's errors that another attempt does not change
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
        name: the uri without its secrets, for messages.
        local: the folder; None if it is not on a local disk.

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

    def below(self, folder: str) -> "Files":
        """The files of a folder within this one, which may be absent."""
        address, question, options = self.uri.partition("?") if "://" in self.uri else (self.uri, "", "")
        return Files(f"{address.rstrip('/')}/{folder}{question}{options}")

    def is_same(self, other: "Files") -> bool:
        """Whether both are one folder, by whichever address."""
        if self.local is not None and other.local is not None:
            return os.path.realpath(self.local) == os.path.realpath(other.local)
        return self.fs.equals(other.fs) and self.root.rstrip("/") == other.root.rstrip("/")

    def path(self, name: str) -> str:
        """The path of a file in ``fs``."""
        return f"{self.root}/{name}"

    def entries(self, folder: str) -> list[Entry]:
        """The files in a folder, sorted by name; empty for an absent folder.

        Raises:
            StoreError: the store cannot be reached.
        """
        return sorted(self._reached(f"list {folder} of", lambda: self._list(folder)), key=lambda entry: entry.name)

    def names(self, folder: str) -> list[str]:
        """The names of :meth:`entries`. Faster on a local disk: needs no ``stat`` of every file."""
        if self.local is None:
            return [entry.name for entry in self.entries(folder)]
        path = self.local / folder
        return sorted(self._reached(f"list {folder} of", lambda: [entry.name for entry in _files(path)]))

    def read(self, name: str) -> bytes | None:
        """The contents of a file; None if it is absent.

        Raises:
            StoreError: the file cannot be read, or the store cannot be reached.
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
        """Write ``data`` to a file, replacing an earlier file of that name.

        Args:
            name: with its folder.
            data: the contents: bytes or a buffer.
            synced: whether to sync a local file and its folder before this returns. An unsynced file survives the end
                of every process, but a power cut may leave half of it.

        Raises:
            StoreError: the file cannot be written; an earlier file is unchanged.
        """
        self._reached(f"write {name} to", lambda: self._put(name, data, synced))

    def delete(self, *names: str) -> None:
        """Delete files; absent ones are no error.

        Raises:
            StoreError: a file cannot be deleted.
        """
        with ThreadPoolExecutor(_THREADS if len(names) > 1 else 1) as pool:  # a deletion mostly waits
            list(pool.map(self._delete, names))

    def clear(self) -> None:
        """Delete temporary files that killed writers left an hour ago or earlier."""
        for path in self.local.glob("*/.*.tmp") if self.local is not None else ():
            with contextlib.suppress(OSError):
                if _TEMPORARY.fullmatch(path.name) and path.stat().st_mtime < time.time() - _ABANDONED:
                    path.unlink()

    def remove_empty(self, folder: str, root: bool) -> None:
        """Remove a local folder if it is empty, then the root if it is empty and ``root`` is true."""
        if self.local is not None:
            with contextlib.suppress(OSError):
                (self.local / folder).rmdir()
                if root:
                    self.local.rmdir()

    def move(self, name: str, target: str) -> None:
        """Rename a file; ``target`` may be in another folder.

        Raises:
            StoreError: the file cannot be moved.
        """

        def work() -> None:
            if self.local is not None:
                Path(self.path(target)).parent.mkdir(parents=True, exist_ok=True)
            self.fs.move(self.path(name), self.path(target))

        self._reached(f"move {name} in", work)

    def check_writable(self) -> None:
        """Check, before hours of work, that files can be written. Creates no lasting file or folder.

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

    def _reached(self, action: str, work: Callable[[], T]) -> T:
        """The return value of ``work``, which is tried several times if the store is not on a local disk.

        ``action`` completes the error "cannot … <store>".
        """
        for pause in (*RETRIES, None):
            try:
                return work()
            except OSError as error:
                if self.local is not None or pause is None or _is_hopeless(error):
                    raise StoreError(f"store: cannot {action} {self.name}: {_reason(error)}") from error
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _list(self, folder: str) -> list[Entry]:
        if self.local is not None:
            return list(_scan(self.local / folder))
        selector = pafs.FileSelector(self.path(folder), allow_not_found=True)
        infos = [info for info in self.fs.get_file_info(selector) if info.type == pafs.FileType.File]
        return [Entry(info.base_name, info.size, info.mtime.timestamp() if info.mtime else 0.0) for info in infos]

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
    """The file system of a URI and the path in it. With S3, small files take one request if this pyarrow can."""
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
        with contextlib.suppress(FileNotFoundError):  # deleted since the listing
            status = entry.stat()
            yield Entry(entry.name, status.st_size, status.st_mtime)


def _write_atomically(path: Path, data: Any, synced: bool) -> None:
    """Write a temporary file, sync, rename, sync the folder: after a crash the file is complete or unchanged."""
    for attempt in range(_FOLDER_ATTEMPTS):
        try:
            _write_and_rename(path, data, synced)
            return
        except (FileNotFoundError, FileExistsError):  # another process is removing the folder, which was empty
            if attempt == _FOLDER_ATTEMPTS - 1:
                raise


def _write_and_rename(path: Path, data: Any, synced: bool) -> None:
    new_folders = [folder for folder in path.parents if not folder.exists()]
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
            for folder in (path.parent, *(new.parent for new in new_folders)):
                _sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Sync the names in a folder: without it a power cut may undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # the file system does not sync folders
            raise
    finally:
        os.close(descriptor)


def _is_hopeless(error: OSError) -> bool:
    return error.errno in _HOPELESS or any(code in str(error) for code in _REFUSED)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else redacted(str(error).partition("\n")[0])
