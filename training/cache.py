"""A cache of image files on a machine's own disk, filled once from a shared folder or a bucket.

The folder is named by the content of the set. A file is there whole or not at all, and has the size that the listing
gives it: whatever stopped an earlier process, the next one copies what is missing. Of several processes one copies, and
the others wait for it.
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs

from training.datasets import DataError

_THREADS = 32  # that copy; a bucket answers each in some 10 ms
_CHUNK = 1024  # files between two looks at the clock
_WAIT_SECONDS = 1.0  # between two tries for the lock
_RETRIES = (0.5, 2.0, 8.0)  # seconds before another attempt to read a file
_FULL = (errno.ENOSPC, errno.EDQUOT)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class CachedFiles:
    """Files that a machine is to have a copy of.

    Attributes:
        address: the folder, or the address of the bucket, that they come from.
        folder: the folder that they are copied to.
        names: their paths below both.
        sizes: in bytes.
    """

    address: str
    folder: Path
    names: Sequence[str]
    sizes: Sequence[int]

    def fill(self, tell: Tell = lambda text: None) -> None:
        """Copy the files that are missing. Does little if none is.

        Args:
            tell: called about once a second with what is done; whatever it raises ends the copying.

        Raises:
            DataError: the folder cannot be written or has no room, or a file cannot be read.
        """
        if not self._missing():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._only_process(tell):
                self._copy(self._missing(), tell)
        except OSError as error:
            raise self._failed(error) from error

    def _missing(self) -> list[int]:
        """The numbers of the files that are not there, or not whole."""

        def is_whole(number: int) -> bool:
            with suppress(OSError):
                return os.stat(f"{self.folder}/{self.names[number]}").st_size == self.sizes[number]
            return False

        return [number for number in range(len(self.names)) if not is_whole(number)]

    @contextmanager
    def _only_process(self, tell: Tell) -> Iterator[None]:
        """Wait until no other process of this machine fills the folder. The lock of a process that dies is free."""
        with open(self.folder / ".lock", "a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    tell(f"waiting for another process that copies images to {self.folder}")
                    time.sleep(_WAIT_SECONDS)
            yield

    def _copy(self, numbers: Sequence[int], tell: Tell) -> None:
        size = sum(self.sizes[number] for number in numbers)
        room = shutil.disk_usage(self.folder).free
        if size > room:
            raise OSError(errno.ENOSPC, f"{_gigabytes(size)} are to be copied, and {_gigabytes(room)} are free")
        filesystem, root = _opened(self.address)
        for folder in {(self.folder / self.names[number]).parent for number in numbers}:
            folder.mkdir(parents=True, exist_ok=True)

        def copy(number: int) -> None:
            _write(self.folder / self.names[number], self._read(filesystem, root, number))

        done = 0
        with ThreadPoolExecutor(_THREADS) as pool:
            for start in range(0, len(numbers), _CHUNK):
                chunk = numbers[start : start + _CHUNK]
                for _ in pool.map(copy, chunk):
                    pass
                done += sum(self.sizes[number] for number in chunk)
                copied = f"{start + len(chunk):,} of {len(numbers):,} images"
                tell(f"copied {copied} ({_gigabytes(done)} of {_gigabytes(size)}) to {self.folder}")

    def _read(self, filesystem: pyarrow.fs.FileSystem, root: str, number: int) -> bytes:
        path = f"{root}/{self.names[number]}"
        for pause in (*_RETRIES, None):
            try:
                with filesystem.open_input_file(path) as file:
                    data: bytes = file.read()
                break
            except OSError as error:
                if pause is None or isinstance(error, FileNotFoundError):
                    raise DataError(f"path: {path} cannot be read ({_first_line(error)})") from error
                time.sleep(pause)
        if len(data) != self.sizes[number]:
            raise DataError(
                f"path: {path} has {len(data):,} bytes and had {self.sizes[number]:,} when the launch listed it; leave"
                " the images as they are during a sweep"
            )
        return data

    def _failed(self, error: OSError) -> DataError:
        if error.errno in _FULL:
            return DataError(
                f"cache: no room in {self.folder} ({error.strerror}); free some, or point data.cache at a larger disk."
                " What is there already is kept"
            )
        return DataError(f"cache: {self.folder} cannot be written ({_first_line(error)}); set data.cache to a folder")


def _opened(address: str) -> tuple[pyarrow.fs.FileSystem, str]:
    if "://" not in address:
        return pyarrow.fs.LocalFileSystem(), str(Path(address).expanduser())
    filesystem, root = pyarrow.fs.FileSystem.from_uri(address)
    return filesystem, root.rstrip("/")


def _write(path: Path, data: bytes) -> None:
    """Write a file that appears only when it is whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too: half a file is of no use, and the error goes on
        with suppress(OSError):
            temporary.unlink()
        raise


def _first_line(error: OSError) -> str:
    return error.strerror or str(error).partition("\n")[0]


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.3g} GB"
