"""Leases: files in the store that keep a trial from running in two launches at once.

    leases/<launch>.json               a living launch: who it is, rewritten every few seconds (its heartbeat)
    leases/<trial id>.<launch>.claim   a trial that it has taken
    leases/<launch>.request            what it was asked to do (:mod:`sweep.store.requests`)

A launch first puts its claim and then lists the claims. It has the trial if it finds no claim of another living launch.
Two launches cannot both find none: the one that lists later sees the other's claim, because every storage that we
support shows a file once it is put. If several launches claim at once, all but the one with the lowest id withdraw
their claims. That one waits for them, and withdraws too if a claim stays: its launch took the trial before. This needs
no lock, no rename and no conditional put, which object stores or pyarrow lack.

A launch is dead if its process has ended, which other processes on its machine can see, or if its heartbeat is older
than :data:`STALE_SECONDS` by the storage's clock. The claims of a dead launch are void. A launch that was suspended or
cut off from the store for that long may still end a trial that another launch has taken over. This does no harm: the
same trial has the same outcome, and an outcome is always replaced as a whole.
"""

import json
import logging
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from sweep.store.files import Entry, Files

BEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 0.0)  # seconds between listings, while rivals withdraw their claims
_AT_ONCE = 2.0  # claims put within so many seconds are simultaneous; an object store's times are whole seconds
_HEARTBEAT = re.compile(r"([0-9a-f]{8})\.json")
_NAMED = ("id", "host", "machine", "began")
_LATER = ("sweep", "note")  # which earlier versions lack
_CLAIM = re.compile(r"([0-9a-z]+)\.([0-9a-f]{8})\.claim")
REQUEST = re.compile(r"([0-9a-f]{8})\.request")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Launch:
    """A launch: a process that takes trials.

    Attributes:
        sweep: name of the sweep that it runs; empty where it runs none, and for launches of earlier versions.
        note: why its trials wait, at its last heartbeat; empty where they do not, and for earlier versions.
    """

    sweep: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    machine: str = field(default_factory=lambda: _machine())
    began: str = field(
        default_factory=lambda: _began(os.getpid()) or ""
    )  # distinguishes a process from a later one with its pid
    note: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def to_json(self) -> str:
        """All fields as a JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Launch":
        """The launch that :meth:`to_json` wrote.

        Raises:
            ValueError: not the JSON of a launch.
        """
        try:
            values = json.loads(text)
            named = {name: str(values[name]) for name in _NAMED}
            later = {name: str(values.get(name, "")) for name in _LATER}
            return cls(**later, **named, pid=int(values["pid"]))
        except (AttributeError, TypeError, LookupError) as error:
            raise ValueError(f"not a launch: {error}") from None

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return self.machine == _machine()

    @property
    def has_died(self) -> bool:
        """Whether its process has ended. Only meaningful if :attr:`is_here`."""
        return _began(self.pid) != self.began


class Leases:
    """The claims of launches on the trials of one store. A pickled copy claims for the same launch."""

    def __init__(self, files: Files, launch: Launch | None = None):
        self._files = files
        self.launch = launch or Launch()

    @contextmanager
    def held(self, note: Callable[[], str] = str) -> Iterator["Leases"]:
        """Send heartbeats inside the block, then release all claims. Deletes the files of dead launches first.

        ``note`` is called before each heartbeat, in its thread: :attr:`Launch.note`.
        """
        is_new = self._files.local is not None and not self._files.local.exists()
        ended = threading.Event()
        thread = threading.Thread(target=self._keep_beating, args=(ended, note), name="heartbeat", daemon=True)
        try:
            self._beat()
            self._clear()
            thread.start()
            yield self
        finally:
            ended.set()
            if thread.is_alive():
                thread.join(BEAT_SECONDS)
            self._release_all(is_new)

    def claim(self, key: str) -> Launch | None:
        """Take a trial. Returns None if this launch has it now, else the launch that has it.

        Raises:
            StoreError: the store is full or unreachable.
        """
        own_name = f"{key}.{self.launch.id}.claim"
        self._files.put(f"leases/{own_name}", b"", synced=False)
        rivals: list[tuple[Entry, Launch]] = []
        for pause in _PAUSES:
            entries = self._entries()
            own = next((entry for entry in entries if entry.name == own_name), None)
            if own is None:  # a launch that took us for dead deleted it: without it, having no rivals proves nothing
                self._files.put(f"leases/{own_name}", b"", synced=False)
                continue
            claims = [(entry, launch) for name, launch, entry in self._claims(entries) if name == key]
            rivals = [(entry, launch) for entry, launch in claims if launch.id != self.launch.id]
            if not rivals:
                return None
            if any(launch.id < self.launch.id or entry.changed < own.changed - _AT_ONCE for entry, launch in rivals):
                break  # a rival has the lower id, or claimed earlier
            time.sleep(pause)
        self._files.delete(f"leases/{own_name}")
        return rivals[0][1] if rivals else self.launch  # not None: our claim was deleted each time

    def holds(self, key: str) -> bool:
        """Whether this launch has taken a trial and not released it."""
        return any(entry.name == f"{key}.{self.launch.id}.claim" for entry in self._files.entries("leases"))

    def release(self, key: str) -> None:
        """Withdraw this launch's claim on a trial; does nothing without one."""
        self._files.delete(f"leases/{key}.{self.launch.id}.claim")

    def running(self) -> dict[str, Launch]:
        """The launch that has each taken trial, by trial id; living launches only."""
        return {name: launch for name, launch, _ in self._claims(self._entries())}

    def living(self) -> list[Launch]:
        """The launches that run now."""
        return list(self._living(self._entries()).values())

    def _claims(self, entries: list[Entry]) -> list[tuple[str, Launch, Entry]]:
        living = self._living(entries)
        claims = [(entry, match) for entry in entries if (match := _CLAIM.fullmatch(entry.name))]
        return [(match[1], living[match[2]], entry) for entry, match in claims if match[2] in living]

    def _entries(self) -> list[Entry]:
        """All lease files. A listing may miss a heartbeat put during it; if a claim has none, this lists again."""
        entries = self._files.entries("leases")
        names = {entry.name for entry in entries}
        if all(f"{match[2]}.json" in names for name in names if (match := _CLAIM.fullmatch(name))):
            return entries
        return list({entry.name: entry for entry in (*entries, *self._files.entries("leases"))}.values())

    def _living(self, entries: list[Entry]) -> dict[str, Launch]:
        now = self._now(entries)
        living = {}
        for entry in entries:
            if match := _HEARTBEAT.fullmatch(entry.name):
                launch = self._launch_of(match[1])
                if launch and self._lives(launch, now - entry.changed):
                    living[launch.id] = launch
        return living

    def _lives(self, launch: Launch, age: float) -> bool:
        if launch.id == self.launch.id:
            return True
        return not launch.has_died if launch.is_here else age < STALE_SECONDS

    def _now(self, entries: list[Entry]) -> float:
        """The time of our last heartbeat by the storage's clock; without one, this machine's time."""
        own = [entry.changed for entry in entries if entry.name == f"{self.launch.id}.json"]
        return own[0] if own else time.time()

    def _launch_of(self, launch_id: str) -> Launch | None:
        if launch_id == self.launch.id:
            return self.launch
        try:
            return Launch.from_json(self._files.read(f"leases/{launch_id}.json") or b"")
        except ValueError:  # deleted since the listing, or not a heartbeat of ours
            return None

    def _beat(self, note: str = "") -> None:
        launch = replace(self.launch, note=note)
        self._files.put(f"leases/{launch.id}.json", launch.to_json().encode(), synced=False)

    def _keep_beating(self, ended: threading.Event, note: Callable[[], str]) -> None:
        while not ended.wait(BEAT_SECONDS):
            try:
                self._beat(note())
            except OSError as error:
                logger.warning(f"{error}; other launches will consider this one dead in {STALE_SECONDS:.0f} s")

    def _clear(self) -> None:
        entries = self._entries()
        living = self._living(entries)
        for entry in entries:
            if (launch := _launch_in(entry.name)) and launch not in living:
                self._files.delete(f"leases/{entry.name}")
        self._files.clear()

    def _release_all(self, is_new: bool) -> None:
        try:
            heartbeat = f"{self.launch.id}.json"
            own = [e.name for e in self._files.entries("leases") if _launch_in(e.name) == self.launch.id]
            self._files.delete(*(f"leases/{name}" for name in own if name != heartbeat))
            self._files.delete(f"leases/{heartbeat}")
            self._files.remove_empty("leases", root=is_new)
        except OSError:  # the claims become void when the heartbeat is stale
            pass


def _launch_in(name: str) -> str | None:
    """The id of the launch that a file of ``leases/`` belongs to; None for other files."""
    if claim := _CLAIM.fullmatch(name):
        return claim[2]
    file = _HEARTBEAT.fullmatch(name) or REQUEST.fullmatch(name)
    return file[1] if file else None


def _machine() -> str:
    """Identifies this machine since its last boot, and the process namespace: processes of one can see each other."""
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
    """The start time of a process on this machine, in clock ticks; None if it has ended, "" if unknown."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else rest[18]  # a zombie has ended
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:  # not Linux: the start time is unknown, so it may be another process with this pid
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
