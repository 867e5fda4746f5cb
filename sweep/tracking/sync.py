"""Export of whole stores on demand. A server that does not answer is given up after a while."""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sweep.errors import InputError
from sweep.store import Store
from sweep.store.conflicts import Sources, StoredOutcome, conflicts_of
from sweep.store.reader import RANK
from sweep.text import HIDDEN, redacted
from sweep.tracking import trial_run
from sweep.tracking.client import Client, MlflowUnavailable
from sweep.tracking.stored_sweep import StoredSweep, stored_sweeps, trial_configs
from sweep.tracking.sweep_export import OnProgress, SweepExport
from sweep.tracking.trial_run import Config
from sweep.tracking.uri import check, default_uri, is_in_store, sqlite_file

SERVER_SECONDS = 20.0  # to wait for a server to answer a call
DATABASE_SECONDS = 60.0  # the same for a database: it may be locked, or its tables are being created

T = TypeVar("T")
ShowProgress = Callable[[str], AbstractContextManager[OnProgress]]


@dataclass(frozen=True)
class SyncJob:
    """A sweep of a store, and the MLflow that it is exported to.

    Attributes:
        trials: ids of those to export: a trial that several given stores have is exported from one of them.
        configs: of all trials of this sweep in all given stores, by trial id.
        other_results: the tag of each of them that completed with several results.
        is_off: whether its config turns tracking off, and no option turns it on.
    """

    store: Store
    sweep: StoredSweep
    uri: str
    trials: tuple[str, ...]
    configs: Mapping[str, Config]
    other_results: Mapping[str, str] = field(default_factory=dict)
    is_off: bool = False


@dataclass(frozen=True)
class SyncResult:
    """Result of a job; the counts are those of an update. ``error`` says why MLflow failed. No text has secrets."""

    store: str
    sweep: str
    uri: str
    exported: int = 0
    up_to_date: int = 0
    busy: int = 0
    is_off: bool = False
    error: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether MLflow now shows everything that this job exports."""
        return self.error is None and not self.busy

    def as_dict(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return {"level" if name == "up_to_date" else name: value for name, value in vars(self).items()}

    def __str__(self) -> str:
        begin = f"{self.store}: {self.sweep}: "
        if self.is_off:
            return f"{begin}skipped, its config turns tracking off; --sweep {self.sweep} exports it nevertheless"
        if self.error is not None and not self.exported + self.up_to_date:
            return f"{begin}not synced"
        busy = f", {self.busy} being exported by another launch or sync: sync again in a minute" if self.busy else ""
        return f"{begin}{self.exported} exported, {self.up_to_date} already up to date{busy}"


def sync_jobs(stores: Sequence[Store], uri: str | None = None, name: str | None = None) -> list[SyncJob]:
    """The jobs that export these stores.

    Args:
        stores: all to export.
        uri: of one MLflow for all; by default each sweep's own.
        name: of the only sweep to export.

    Raises:
        InputError: no such sweep, or its MLflow is not known.
    """
    sweeps = [(store, sweep) for store in stores for sweep in stored_sweeps(store)]
    if name is not None and name not in {sweep.name for _, sweep in sweeps}:
        known = ", ".join(dict.fromkeys(sweep.name for _, sweep in sweeps)) or "none"
        raise InputError(f"--sweep {name}: not in {', '.join(store.name for store in stores)}, which has: {known}")
    is_named = uri is not None or name is not None
    jobs = [_job(store, sweep, uri, is_named) for store, sweep in sweeps if name in (None, sweep.name)]
    if len(stores) == 1:
        return _tagged(jobs, conflicts_of(stores[0]))
    sources = Sources(stores, [store.trials(columns=RANK) for store in stores])
    return _tagged(_each_trial_once(jobs, sources), sources.others)


def sync(jobs: Sequence[SyncJob], show_progress: ShowProgress) -> Iterator[SyncResult]:
    """Do the jobs. A server that did not answer one of them is not called again.

    Args:
        jobs: from :func:`sync_jobs`.
        show_progress: a context in which the progress of one job is shown, under the given title.

    Raises:
        InputError: an invalid URI.
    """
    errors: dict[str, str] = {}  # by URI
    for job in jobs:
        values: dict[str, Any] = {"store": job.store.name, "sweep": job.sweep.name, "uri": redacted(job.uri)}
        if not job.is_off and job.uri not in errors:
            try:
                with show_progress(f"syncing {job.sweep.name}") as on_progress:
                    values |= _export(job, on_progress)
            except MlflowUnavailable as error:
                errors[job.uri] = str(error)
        yield SyncResult(**{"error": None if job.is_off else errors.get(job.uri)} | values, is_off=job.is_off)


def _export(job: SyncJob, on_progress: OnProgress) -> dict[str, Any]:
    """Do one job. Returns fields of :class:`SyncResult`.

    Raises:
        MlflowUnavailable: MLflow does not answer; runs written by then are kept.
        InputError: an invalid URI.
    """
    client = Client(job.uri)
    export = SweepExport(job.sweep.name, job.configs, job.store, client, job.sweep.config, job.other_results)
    counts = dict(vars(_watched(client, lambda: export.update(job.trials, on_progress))))
    without_layers = counts.pop("without_layers")
    try:
        _watched(client, lambda: export.add_artifacts([]))
    except MlflowUnavailable as error:  # the trials are exported
        return counts | {"error": f"{error}: it lacks the config of sweep {job.sweep.name}"}
    if without_layers is not None:
        return counts | {"error": f"{without_layers}: it lacks tables of layers of sweep {job.sweep.name}"}
    return counts


def _job(store: Store, sweep: StoredSweep, uri: str | None, is_named: bool) -> SyncJob:
    tracking = (sweep.config or {}).get("tracking") or {}
    own, is_off = tracking.get("uri"), not tracking.get("enabled", True) and not is_named
    if not is_off and uri is None and own and HIDDEN in own:
        raise InputError(
            f"sweep {sweep.name} was launched with tracking.uri {own}, whose secret the store does not keep: name it"
            f" again, with --sweep {sweep.name} --uri URI"
        )
    chosen = uri or own or default_uri(store)
    if uri is None and own and not is_off and (file := sqlite_file(own)) and not file.exists():
        raise InputError(
            f"sweep {sweep.name} was launched with tracking.uri {redacted(own)}, where there is no database any more:"
            f" name one, with --sweep {sweep.name} --uri URI"
        )
    if uri is None and own and not is_off and sqlite_file(own) and not is_in_store(own, store):
        raise InputError(
            f"sweep {sweep.name} was launched with tracking.uri {redacted(own)}, a database outside the store, and sync"
            f" writes outside it only where told to: add --sweep {sweep.name} --uri {redacted(own)}"
        )
    check(chosen)
    configs = trial_configs(sweep.rows)
    return SyncJob(store, sweep, chosen, tuple(configs), configs, is_off=is_off)


def _tagged(jobs: Sequence[SyncJob], others: Mapping[str, Sequence[StoredOutcome]]) -> list[SyncJob]:
    """The jobs, with the tags of trials that completed with several results."""
    tags = {trial: trial_run.other_results(other.row for other in found) for trial, found in others.items()}
    return [replace(job, other_results=tags) for job in jobs]


def _each_trial_once(jobs: Sequence[SyncJob], sources: Sources) -> list[SyncJob]:
    """The jobs, each trial of an experiment from one store: where it completed, else where it was written last."""
    rows: dict[tuple[str, str, str], list[int]] = {}  # the jobs that have each trial of an experiment
    configs: dict[tuple[str, str], dict[str, Config]] = {}
    for number, job in enumerate(jobs):
        if not job.is_off:
            configs.setdefault((job.uri, job.sweep.name), {}).update(job.configs)
            for name in job.trials:
                rows.setdefault((job.uri, job.sweep.name, name), []).append(number)
    chosen: dict[int, list[str]] = {}
    for (_, _, name), numbers in rows.items():
        best = sources.stores[sources.index[name]]
        number = next((number for number in numbers if jobs[number].store is best), numbers[0])
        chosen.setdefault(number, []).append(name)
    return [
        replace(job, trials=tuple(chosen.get(number, ())), configs=configs.get((job.uri, job.sweep.name), job.configs))
        for number, job in enumerate(jobs)
    ]


def _watched(client: Client, work: Callable[[], T]) -> T:
    """The result of ``work``, done in a thread; given up when MLflow does not answer one of its calls."""
    results: queue.SimpleQueue[T | BaseException] = queue.SimpleQueue()

    def do() -> None:
        try:
            results.put(work())
        except BaseException as error:
            results.put(error)

    threading.Thread(target=do, name="sync", daemon=True).start()
    patience = DATABASE_SECONDS if sqlite_file(client.uri) else SERVER_SECONDS
    while True:
        try:
            result = results.get(timeout=0.1)
            break
        except queue.Empty:
            if client.waiting_seconds > patience:
                client.stop()
                raise MlflowUnavailable(client.uri, TimeoutError(f"no answer for {patience:.0f} s")) from None
    if isinstance(result, BaseException):
        raise result
    return result
