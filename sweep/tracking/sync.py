"""Whole stores, mirrored on demand: MLflow is made level with what they have, and nobody waits long for it."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sweep.errors import InputError
from sweep.records import COMPLETED
from sweep.store import Store
from sweep.text import HIDDEN, redacted
from sweep.tracking import stored
from sweep.tracking.client import Away, Client
from sweep.tracking.mirror import Mirror, Tell
from sweep.tracking.places import check, default_uri, sqlite_file
from sweep.tracking.stored import Stored

SILENCE_SECONDS = 20.0  # for a call that is not answered
DATABASE_SECONDS = 60.0  # the same where another program may have the file locked, or its tables are made

T = TypeVar("T")
Counting = Callable[[str], AbstractContextManager[Tell]]


@dataclass(frozen=True)
class Job:
    """A sweep of a store, and the MLflow that shows it.

    Attributes:
        among: the trials to show: those of which no other store that is given has an outcome that counts more.
        is_off: whether its config says not to show it, and nobody else says to.
    """

    store: Store
    sweep: Stored
    uri: str
    among: tuple[str, ...]
    is_off: bool = False


@dataclass(frozen=True)
class Synced:
    """What came of a job. ``error`` says what MLflow did not answer; names and addresses are without secrets."""

    store: str
    sweep: str
    uri: str
    exported: int = 0
    level: int = 0
    busy: int = 0
    is_off: bool = False
    error: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether MLflow is level now, as far as it is to be."""
        return self.error is None and not self.busy

    def __str__(self) -> str:
        begin = f"{self.store}: {self.sweep}: "
        if self.is_off:
            return f"{begin}left out, its config turns the mirror off; --sweep {self.sweep} exports it all the same"
        if self.error is not None and not self.exported + self.level:
            return f"{begin}not synced"
        busy = f", {self.busy} being exported by another launch or sync: sync again in a minute" if self.busy else ""
        return f"{begin}{self.exported} exported, {self.level} level already{busy}"


def jobs(stores: Sequence[Store], uri: str | None = None, name: str | None = None) -> list[Job]:
    """What is to be synced.

    Args:
        stores: all there is to be shown.
        uri: of the MLflow for all of it; by default each sweep's own.
        name: of the only sweep.

    Raises:
        InputError: no such sweep, or no telling where its MLflow is.
    """
    found = [(store, each) for store in stores for each in stored.sweeps(store)]
    if name is not None and name not in {each.name for _, each in found}:
        known = ", ".join(dict.fromkeys(each.name for _, each in found)) or "none"
        raise InputError(f"--sweep {name}: not in {', '.join(store.name for store in stores)}, which has: {known}")
    found = [(store, each) for store, each in found if name in (None, each.name)]
    is_named = uri is not None or name is not None
    asked = [_job(store, each, uri, is_named) for store, each in found]
    return asked if len(stores) == 1 else _each_trial_once(asked)


def sync(asked: Sequence[Job], counting: Counting) -> Iterator[Synced]:
    """Do the jobs. A server that does not answer one of them is asked nothing more.

    Args:
        asked: the jobs.
        counting: progress of a job of this title.

    Raises:
        InputError: a URI that can be nobody's.
    """
    away: dict[str, str] = {}
    for job in asked:
        facts: dict[str, Any] = {"store": job.store.name, "sweep": job.sweep.name, "uri": redacted(job.uri)}
        if not job.is_off and job.uri not in away:
            try:
                with counting(f"syncing {job.sweep.name}") as tell:
                    facts |= _level(job, tell)
            except Away as error:
                away[job.uri] = str(error)
        yield Synced(**{"error": None if job.is_off else away.get(job.uri)} | facts, is_off=job.is_off)


def _level(job: Job, tell: Tell) -> dict[str, Any]:
    """Do one job. Returns facts of :class:`Synced`.

    Raises:
        Away: MLflow does not answer; what was done by then stays done.
        InputError: the URI can be nobody's.
    """
    client = Client(job.uri)
    mirror = Mirror(job.sweep.name, stored.configs(job.sweep.rows), job.store, client, job.sweep.config)
    facts = vars(_watched(client, lambda: mirror.level(job.among, tell)))
    try:
        _watched(client, lambda: mirror.add_artifacts([]))
    except Away as error:  # it shows all trials, nevertheless
        return facts | {"error": f"{error}: it lacks the config of sweep {job.sweep.name}"}
    return facts


def _job(store: Store, sweep: Stored, uri: str | None, is_named: bool) -> Job:
    tracking = (sweep.config or {}).get("tracking") or {}
    own, is_off = tracking.get("uri"), not tracking.get("enabled", True) and not is_named
    if not is_off and uri is None and own and HIDDEN in own:
        raise InputError(
            f"sweep {sweep.name} was launched with tracking.uri {own}, whose secret the store does not keep: name it"
            f" again, with --sweep {sweep.name} --uri URI"
        )
    place = uri or own or default_uri(store)
    if uri is None and own and not is_off and (file := sqlite_file(own)) and not file.exists():
        raise InputError(
            f"sweep {sweep.name} was launched with tracking.uri {redacted(own)}, where there is no database any more:"
            f" name one, with --sweep {sweep.name} --uri URI"
        )
    check(place)
    return Job(store, sweep, place, tuple(row["trial_id"] for row in sweep.rows), is_off)


def _each_trial_once(asked: Sequence[Job]) -> list[Job]:
    """The same, each trial of an experiment from one store alone: where it completed, then where it ended last."""
    best: dict[tuple[str, str, str], tuple[Any, int]] = {}
    for number, job in enumerate(asked):
        for row in () if job.is_off else job.sweep.rows:
            key = (job.uri, job.sweep.name, row["trial_id"])
            rank = (row["status"] == COMPLETED, row["written"] is not None, row["written"])
            if key not in best or rank > best[key][0]:
                best[key] = (rank, number)
    chosen: dict[int, list[str]] = {}
    for (_, _, name), (_, number) in best.items():
        chosen.setdefault(number, []).append(name)
    return [replace(job, among=tuple(chosen.get(number, ()))) for number, job in enumerate(asked)]


def _watched(client: Client, work: Callable[[], T]) -> T:
    """What ``work`` returns or raises, unless one of its calls is not answered: then it is left to itself."""
    results: queue.SimpleQueue[T | BaseException] = queue.SimpleQueue()

    def do() -> None:
        try:
            results.put(work())
        except BaseException as error:
            results.put(error)

    threading.Thread(target=do, name="sync", daemon=True).start()
    patience = DATABASE_SECONDS if sqlite_file(client.uri) else SILENCE_SECONDS
    while True:
        try:
            result = results.get(timeout=0.1)
            break
        except queue.Empty:
            if client.silence > patience:
                client.cut()
                raise Away(client.uri, TimeoutError(f"no answer for {patience:.0f} s")) from None
    if isinstance(result, BaseException):
        raise result
    return result
