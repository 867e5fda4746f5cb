"""Leases: who runs what, told by files in the store alone, so that no trial runs in two launches at once.

    leases/<launch>.json             a launch that lives: who it is, written again every few seconds (its heartbeat)
    leases/<trial id>.<launch>.claim   a trial that it has taken

A claim is first put and then looked at: a trial is taken by whoever finds no other living launch's claim beside its
own. That two do so would take one of them not to see a file that was there before it looked, and every storage that we
write to shows what has been put. Of several that claim at once all but the one with the least id take their claims
back; that one waits for them to, and takes its own back as well if one stays: whose that is had found itself alone
before. It takes no lock, no rename and no conditional put, which object stores or pyarrow lack.

A launch is dead when its process is, which can be told on its own machine, or when its heartbeat is older than
:data:`STALE_SECONDS` by the storage's own clock. Its claims are then void. A launch that was not dead but suspended,
or cut off from the store for so long, may end a trial that another has taken over: the same trial has the same
outcome, and outcomes replace each other whole.
"""

import json
import logging
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sweep.store.files import Entry, Files

BEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 0.0)  # between looks, until others that claimed at once have stepped back
_AT_ONCE = 2.0  # seconds, and an object store's times are whole ones
_HEARTBEAT = re.compile(r"([0-9a-f]{8})\.json")
_NAMED = ("id", "host", "machine", "began")
_CLAIM = re.compile(r"([0-9a-z]+)\.([0-9a-f]{8})\.claim")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Launch:
    """A launch: a process that takes trials."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    machine: str = field(default_factory=lambda: _machine())
    began: str = field(default_factory=lambda: _began(os.getpid()) or "")  # tells a process from a later one of its pid

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def to_json(self) -> str:
        """All of it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Launch":
        """What :meth:`to_json` wrote.

        Raises:
            ValueError: it did not write that.
        """
        try:
            values = json.loads(text)
            return cls(**{name: str(values[name]) for name in _NAMED}, pid=int(values["pid"]))
        except (TypeError, LookupError) as error:
            raise ValueError(f"not a launch: {error}") from None

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, on this machine."""
        return self.machine == _machine()

    @property
    def has_died(self) -> bool:
        """Whether its process, on this machine, is gone."""
        return _began(self.pid) != self.began


class Leases:
    """What launches have taken in one store. Pickled, it claims for the same launch from another process."""

    def __init__(self, files: Files, launch: Launch | None = None):
        self._files = files
        self.launch = launch or Launch()

    @contextmanager
    def held(self) -> Iterator["Leases"]:
        """Live: beat until the end, then give everything back. Clears away what dead launches have left."""
        is_new = self._files.local is not None and not self._files.local.exists()
        ended = threading.Event()
        thread = threading.Thread(target=self._keep_beating, args=(ended,), name="heartbeat", daemon=True)
        try:
            self._beat()
            self._clear()
            thread.start()
            yield self
        finally:
            ended.set()
            if thread.is_alive():
                thread.join(BEAT_SECONDS)
            self._give_all_back(is_new)

    def claim(self, key: str) -> Launch | None:
        """Take a trial. Returns who has it, if that is somebody else.

        Raises:
            StoreError: the store is full or gone.
        """
        mine = f"{key}.{self.launch.id}.claim"
        self._files.put(f"leases/{mine}", b"", synced=False)
        rivals: list[tuple[Entry, Launch]] = []
        for pause in _PAUSES:
            entries = self._entries()
            own = next((entry for entry in entries if entry.name == mine), None)
            if own is None:  # cleared away by somebody who took us for dead: alone without it is not alone
                self._files.put(f"leases/{mine}", b"", synced=False)
                continue
            claims = [(entry, launch) for name, launch, entry in self._claims(entries) if name == key]
            rivals = [(entry, launch) for entry, launch in claims if launch.id != self.launch.id]
            if not rivals:
                return None
            if any(launch.id < self.launch.id or entry.changed < own.changed - _AT_ONCE for entry, launch in rivals):
                break  # it is theirs, or had been for a while
            time.sleep(pause)
        self._files.delete(f"leases/{mine}")
        return rivals[0][1] if rivals else self.launch  # which then is not for us to take

    def holds(self, key: str) -> bool:
        """Whether this launch has taken a trial, and not given it back."""
        return any(entry.name == f"{key}.{self.launch.id}.claim" for entry in self._files.entries("leases"))

    def release(self, key: str) -> None:
        """Give a trial back."""
        self._files.delete(f"leases/{key}.{self.launch.id}.claim")

    def running(self) -> dict[str, Launch]:
        """What living launches have taken."""
        return {name: launch for name, launch, _ in self._claims(self._entries())}

    def living(self) -> list[Launch]:
        """Launches that run now."""
        return list(self._living(self._entries()).values())

    def _claims(self, entries: list[Entry]) -> list[tuple[str, Launch, Entry]]:
        living = self._living(entries)
        found = [(entry, matched) for entry in entries if (matched := _CLAIM.fullmatch(entry.name))]
        return [(matched[1], living[matched[2]], entry) for entry, matched in found if matched[2] in living]

    def _entries(self) -> list[Entry]:
        """All files of leases: a listing need not show what was put while it was made, so that a claim may lack one."""
        entries = self._files.entries("leases")
        names = {entry.name for entry in entries}
        if all(f"{found[2]}.json" in names for name in names if (found := _CLAIM.fullmatch(name))):
            return entries
        return list({entry.name: entry for entry in (*entries, *self._files.entries("leases"))}.values())

    def _living(self, entries: list[Entry]) -> dict[str, Launch]:
        now = self._now(entries)
        found = {}
        for entry in entries:
            if matched := _HEARTBEAT.fullmatch(entry.name):
                launch = self._who(matched[1])
                if launch and self._lives(launch, now - entry.changed):
                    found[launch.id] = launch
        return found

    def _lives(self, launch: Launch, age: float) -> bool:
        if launch.id == self.launch.id:
            return True
        return not launch.has_died if launch.is_here else age < STALE_SECONDS

    def _now(self, entries: list[Entry]) -> float:
        """By the storage's clock, or a little before: when it took our last heartbeat."""
        own = [entry.changed for entry in entries if entry.name == f"{self.launch.id}.json"]
        return own[0] if own else time.time()

    def _who(self, launch: str) -> Launch | None:
        if launch == self.launch.id:
            return self.launch
        try:
            return Launch.from_json(self._files.read(f"leases/{launch}.json") or b"")
        except ValueError:  # gone since, or somebody else's
            return None

    def _beat(self) -> None:
        self._files.put(f"leases/{self.launch.id}.json", self.launch.to_json().encode(), synced=False)

    def _keep_beating(self, ended: threading.Event) -> None:
        while not ended.wait(BEAT_SECONDS):
            try:
                self._beat()
            except OSError as error:
                logger.warning(f"{error}; others will take this launch for dead in {STALE_SECONDS:.0f} s")

    def _clear(self) -> None:
        entries = self._entries()
        living = self._living(entries)
        for entry in entries:
            claim, heartbeat = _CLAIM.fullmatch(entry.name), _HEARTBEAT.fullmatch(entry.name)
            launch = claim[2] if claim else heartbeat[1] if heartbeat else None
            if launch and launch not in living:
                self._files.delete(f"leases/{entry.name}")
        self._files.clear()

    def _give_all_back(self, is_new: bool) -> None:
        try:
            mine = [e.name for e in self._files.entries("leases") if f".{self.launch.id}." in f".{e.name}"]
            self._files.delete(*(f"leases/{name}" for name in mine if name.endswith(".claim")))
            self._files.delete(f"leases/{self.launch.id}.json")
            self._files.remove_empty("leases", root=is_new)
        except OSError:  # dead in a minute by its heartbeat, then
            pass


def _machine() -> str:
    """Names this machine since it was started, and the processes that can see each other on it."""
    parts = [socket.gethostname()]
    for read in (
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        lambda: os.readlink("/proc/self/ns/pid"),
    ):
        try:
            parts.append(read())
        except OSError:
            continue
    return " ".join(parts)


def _began(pid: int) -> str | None:
    """When a process of this machine began, in ticks; None if there is none."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else rest[18]  # a zombie has ended
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:  # not Linux: there is no telling whether it is the same process
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
