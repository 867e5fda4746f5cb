"""A launch in the background: it goes on when its terminal is closed, and its output goes to a file."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import InputError

if TYPE_CHECKING:
    from sweep.store.leases import Launch  # which takes pyarrow, which starts threads


@dataclass(frozen=True)
class Started:
    """A launch in the background whose checks have passed.

    Attributes:
        launch: its id.
        store: its name, without secrets.
        log: the file of its output, on this machine.
    """

    launch: str
    sweep: str
    store: str
    pid: int
    log: str


@dataclass(frozen=True)
class Ended:
    """A launch that ended before it was in the background: bad input, or nothing to run.

    Attributes:
        output: all that it printed.
    """

    exit_code: int
    output: str


class Background:
    """This process forked: the copy runs the launch, this one waits until its checks have passed.

    Fork before anything is imported that starts threads.

    Attributes:
        is_launch: whether this is the copy.
    """

    def __init__(self, name: str):
        """Fork; ``name`` begins the name of the log.

        Raises:
            InputError: no log can be written.
        """
        self._log, log = _open_log(name)
        self._ours, theirs = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._child = os.fork()
        self.is_launch = self._child == 0
        if self.is_launch:
            os.close(self._ours)
            self._ours = theirs
            _leave_terminal(log)
        else:
            os.close(theirs)
        os.close(log)

    def tell(self, launch: Launch, store: str) -> None:
        """In the copy: say that the checks have passed. Only the first call counts."""
        if self._ours < 0:
            return
        started = Started(launch.id, launch.sweep, store, os.getpid(), str(self._log))
        with suppress(BrokenPipeError):  # the terminal was closed meanwhile
            os.write(self._ours, json.dumps(asdict(started)).encode())
        os.close(self._ours)
        self._ours = -1

    def wait(self) -> Started | Ended:
        """In the first process: wait until the copy has checked everything, or has ended. Ctrl-C ends it."""
        try:
            with open(self._ours, "rb") as pipe:
                told = pipe.read()
        except KeyboardInterrupt:
            os.kill(self._child, signal.SIGINT)
            os.waitpid(self._child, 0)
            raise
        if told:
            return Started(**json.loads(told))
        code = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
        output = self._log.read_text(errors="replace")
        self._log.unlink()
        return Ended(code if code >= 0 else 128 - code, output)


def _open_log(name: str) -> tuple[Path, int]:
    """A new log and its file descriptor: with the user's other state, or in the folder of temporary files.

    Not in the store: nothing can be appended to a file of a bucket.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    folders = [Path(state if os.path.isabs(state) else os.path.expanduser("~/.local/state"), "sweep/logs")]
    folders.append(Path(tempfile.gettempdir(), f"sweep-logs-{os.getuid()}"))
    file = f"{name[:100]}-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    for folder in filter(Path.is_absolute, folders):  # "~" stays where this user has no home
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return folder / file, os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    raise InputError(f"--detach: no log can be written to {' or '.join(map(str, folders))}; set XDG_STATE_HOME=DIR")


def _leave_terminal(log: int) -> None:
    """Make this process a session of its own, without input, with ``log`` for its output, written line by line."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nowhere, log, log)):
        os.dup2(file, number)
    os.close(nowhere)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
