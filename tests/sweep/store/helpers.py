"""What the tests of the store share: ids, all that is in a store, and processes to be killed. ``from .helpers import …``."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweep.store import Store

IDS = [letter * 16 for letter in "abcdef"]
FOLDERS = ("trials", "epochs", "masks")
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


def contents(store: Store, but: set[str] = frozenset()) -> dict[str, Counter[str]]:
    """Every row that a store has of its trials, as often as it has it."""
    tables = {"trials": store.trials(), "epochs": store.epochs(), "masks": store.masks()}
    return {
        folder: Counter(repr([(k, v) for k, v in row.items() if k not in but]) for row in rows.to_pylist())
        for folder, rows in tables.items()
    }


def files(store: Store, *folders: str) -> dict[str, bytes]:
    """Every file of some folders of a store with its bytes, on a disk or elsewhere."""
    return {
        f"{folder}/{name}": store.files.read(f"{folder}/{name}") or b""
        for folder in folders or FOLDERS
        for name in store.files.names(folder)
    }


def file_of(store: Store, folder: str, trial_id: str) -> Path:
    """The one file of a trial in a folder of a local store."""
    assert store.local is not None
    [path] = (store.local / folder).glob(f"{trial_id}*.parquet")
    return path


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Change the rows of a Parquet file in place, and nothing else: it can be read as before."""
    rows = pq.ParquetFile(path).read()
    values = rows.to_pylist()
    changed = change(values)
    pq.write_table(pa.Table.from_pylist(values if changed is None else changed, schema=rows.schema), path)


def wait_for(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


class Forks:
    """A process that has imported the store, and forks one for each piece of code: quick to start, and to be killed."""

    def __init__(self, folder: Path):
        self._folder, self._number = folder, 0
        command = [sys.executable, str(Path(__file__).with_name("forking.py"))]
        self._process = subprocess.Popen(
            command, env=os.environ | AWS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, code: str, **names: Any) -> "Fork":
        """Run code with these names in a process of its own; what it calls ``result`` is what :meth:`Fork.result` is."""
        self._number += 1
        out = self._folder / f"result.{self._number}"
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"code": code, "names": names, "out": str(out)}) + "\n")
        self._process.stdin.flush()
        return Fork(int(self._process.stdout.readline()), out)

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


class Fork:
    """One of them."""

    def __init__(self, pid: int, out: Path):
        self.pid, self._out = pid, out

    @property
    def is_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
        wait_for(lambda: not self.is_alive)

    def result(self) -> Any:
        """What it came to; an assertion, if to an error."""
        wait_for(lambda: not self.is_alive)
        assert self._out.exists(), "it was killed"
        done, value = pickle.loads(self._out.read_bytes())
        assert done, value
        return value
