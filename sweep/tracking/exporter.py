"""The exporter: a thread of the driver that exports a sweep to MLflow while it runs, without delaying it."""

import json
import logging
import queue
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.records import EpochRecord, TrialRecord
from sweep.store import Store
from sweep.text import redacted
from sweep.tracking.client import Client, MlflowUnavailable
from sweep.tracking.stored_sweep import stored_sweeps, trial_configs
from sweep.tracking.sweep_export import SweepExport
from sweep.tracking.uri import default_uri, is_in_store, sqlite_file

RETRY_SECONDS = 30.0  # after the first failure; twice as long after each that follows
CLOSE_SECONDS = 30.0  # at most, to export what is left
ANSWER_SECONDS = 5.0  # of them to wait for a server to answer a call

logger = logging.getLogger("sweep.tracking")


class Exporter:
    """Exports a sweep to MLflow from a thread of its own; a watcher of trials and a context manager.

    Its methods return at once and raise nothing; only :meth:`close` waits, while MLflow answers: at most
    :data:`CLOSE_SECONDS`, at most :data:`ANSWER_SECONDS` for one call, and not at all if the last call failed.

    Nothing happens before the first trial starts: a sweep that cannot start leaves no database behind.
    """

    def __init__(self, sweep: SweepConfig, trials: Mapping[str, TrialConfig], store: Store, *, is_whole: bool = True):
        """
        Args:
            sweep: as it is launched.
            trials: those that it asks for, by id.
            store: of these trials.
            is_whole: False if these are only some of the sweep's trials, as of a retry, and ``sweep`` describes them
                alone: then MLflow shows the config of the sweep's last launch.
        """
        self._sweep, self._trials, self._store, self._is_whole = sweep, trials, store, is_whole
        self._client = Client(sweep.tracking.uri or default_uri(store))
        self._tasks: queue.SimpleQueue[str | Sequence[Path] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._export: SweepExport | None = None
        self._is_up_to_date = False  # whether the last export left nothing that the store had then
        self._artifacts: list[Path] | None = None  # to put into the sweep's own run; None: not requested
        self._failures, self._retry_at = 0, 0.0  # consecutive failures, and when to try again
        self._answers = 0  # calls answered until the last failure

    def __enter__(self) -> "Exporter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def started(self, trial: TrialConfig) -> None:
        """Start the thread, which first exports what earlier launches left."""
        if self._thread.ident is None:
            self._put([])

    def epoch(self, record: EpochRecord) -> None:
        """Does nothing: epochs are exported with their trial."""

    def finished(self, record: TrialRecord) -> None:
        """Request the export of a trial, as the store has it."""
        self._put(record.trial_id)

    def add_artifacts(self, paths: Sequence[Path]) -> None:
        """Request that files (figures, tables) go into the sweep's own run, replacing earlier ones of their names.

        Trials of the sweep that another launch has finished are exported, too.
        """
        self._put(paths)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait for requested exports: at most ``seconds``, less where MLflow does not answer. Warn of what is left."""
        if self._thread.ident is None or self._client.is_stopped:
            return
        self._tasks.put(None)
        end = time.monotonic() + seconds
        while self._thread.is_alive() and time.monotonic() < end and self._may_finish():
            self._thread.join(0.05)
        self._client.stop()
        if self._thread.is_alive() or not self._is_up_to_date:
            logger.warning(f"MLflow lacks a part of sweep {self._sweep.name}. When it answers, run: {self._command()}")

    def _put(self, task: str | Sequence[Path]) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._tasks.put(task)

    def _may_finish(self) -> bool:
        """Whether to go on waiting: a call has been answered since the last failure, and none is late."""
        if self._failures and self._client.answers == self._answers:
            return False
        return sqlite_file(self._client.uri) is not None or self._client.waiting_seconds < ANSWER_SECONDS

    def _work(self) -> None:
        while (names := self._next()) is not None:
            if time.monotonic() < self._retry_at:
                self._is_up_to_date = False
                continue
            try:
                self._export_trials(names)
                self._failures = 0
            except Exception as error:  # an export must not fail the sweep
                self._fail(error)

    def _next(self) -> set[str] | None:
        """Ids of all trials requested by now; None after the last request."""
        task, names = self._tasks.get(), set[str]()
        if task is None:
            return None
        while task is not None:
            if isinstance(task, str):
                names.add(task)
            else:
                self._artifacts = [*(self._artifacts or ()), *task]
                names |= self._trials.keys() - (self._export.exported if self._export else set())
            if self._tasks.empty():
                return names
            task = self._tasks.get()
        self._tasks.put(None)
        return names

    def _export_trials(self, names: set[str]) -> None:
        was_up_to_date, self._is_up_to_date = self._is_up_to_date, False
        if self._export is None:
            self._export = self._make_export()
        counts = self._export.update(names if was_up_to_date else None)
        self._is_up_to_date = not counts.busy
        if self._artifacts is not None:
            paths, self._artifacts = self._artifacts, None
            self._export_artifacts(self._export, paths)

    def _export_artifacts(self, export: SweepExport, paths: Sequence[Path]) -> None:
        """A failure only prints a warning: the trials are exported."""
        try:
            export.add_artifacts(paths)
        except MlflowUnavailable as error:
            if not self._client.is_stopped:
                logger.warning(f"{error}: it lacks the config, figures and tables of sweep {self._sweep.name}")

    def _make_export(self) -> SweepExport:
        """Of the sweep's trials, and of those that earlier launches of the sweep had."""
        mine = {name: json.loads(trial.to_json()) for name, trial in self._trials.items()}
        sweep = next((stored for stored in stored_sweeps(self._store) if stored.name == self._sweep.name), None)
        trials = trial_configs(sweep.rows if sweep else ()) | mine
        launched = sweep.config if sweep and not self._is_whole else None
        return SweepExport(self._sweep.name, trials, self._store, self._client, launched or self._sweep.as_dict())

    def _fail(self, error: Exception) -> None:
        if not self._failures and not self._client.is_stopped:
            reason = (
                str(error) if isinstance(error, MlflowUnavailable) else f"The export to MLflow fails ({_reason(error)})"
            )
            logger.warning(
                f"{reason}. The sweep goes on, its records are safe in the store. What MLflow lacks is exported once it"
                f" answers; after the sweep, with: {self._command()}. To do without: --set tracking.enabled=false"
            )
        self._answers = self._client.answers
        self._retry_at = time.monotonic() + min(RETRY_SECONDS * 2**self._failures, 3600.0)
        self._failures += 1
        if self._export is not None:
            self._export.close()

    def _command(self) -> str:
        """The command that exports what is missing."""
        uri = redacted(self._client.uri)
        is_elsewhere = sqlite_file(self._client.uri) and not is_in_store(self._client.uri, self._store)
        is_named = uri != self._client.uri or (is_elsewhere and self._sweep.tracking.uri)  # the store has no secrets
        named = ["--uri", uri] if is_named else []
        return shlex.join(["sweep", "sync", self._store.name, *named])


def _reason(error: Exception) -> str:
    return redacted(f"{type(error).__name__}: {error}").partition("\n")[0][:300]
