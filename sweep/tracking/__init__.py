"""The mirror of the store in MLflow: for browsing, never for being right. The only package that imports mlflow.

One experiment a sweep. In it one flat run a trial, with the grid's axes and what differs between trials as
parameters, a metric per epoch and outcome, and tags that say which trial and which outcome of it the run shows; and
one run for the sweep itself, with its config, figures and tables.

All of it is written by one thread of the driver. Trials never talk to MLflow and the sweep never waits for it: where
it is away, one warning says so, and what it missed is exported as soon as it is back, or by the next launch.

content.py    what a run shows, by the records alone
mirror.py     the same in MLflow
"""

import logging
import queue
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from sweep.config import SweepConfig, TrialConfig
from sweep.errors import InputError
from sweep.records import EpochRecord, TrialRecord
from sweep.store import Store
from sweep.tracking.mirror import Mirror, is_server, redacted

__all__ = ["Exporter", "default_uri", "ui_command"]

RETRY_SECONDS = 30.0  # after the first failure; twice as long after each that follows
CLOSE_SECONDS = 30.0

logger = logging.getLogger(__name__)


def default_uri(store: Store) -> str:
    """An SQLite database in the store's folder, or, for a store elsewhere, in the current one."""
    return f"sqlite:///{(store.local or Path.cwd()).absolute() / 'mlflow.db'}"


def ui_command(uri: str, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """The command that serves MLflow's pages for a database: one small process, for this machine only.

    Raises:
        InputError: ``uri`` is a server's.
    """
    if is_server(uri):
        raise InputError(f"tracking.uri: {redacted(uri)} is a server and has its own pages: open it in a browser")
    quiet = ["env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true"]
    serve = ["--backend-store-uri", uri, "--host", host, "--port", str(port), "--workers", "1"]
    return [*quiet, sys.executable, "-m", "mlflow", "server", *serve]


class Exporter:
    """A watcher that mirrors a sweep; a context manager, left within :data:`CLOSE_SECONDS`. Raises nothing.

    Nothing happens before the first trial starts: a sweep that cannot start leaves no database behind.
    """

    def __init__(self, sweep: SweepConfig, store: Store):
        self._mirror = Mirror(sweep, store, sweep.tracking.uri or default_uri(store))
        self._tasks: queue.SimpleQueue[TrialRecord | Sequence[Path] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._behind = True  # whether MLflow may lack what the store has
        self._failures, self._retry = 0, 0.0

    def __enter__(self) -> "Exporter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def started(self, trial: TrialConfig) -> None:
        """Begin, with what earlier launches have left to do."""
        if self._thread.ident is None:
            self._put([])

    def epoch(self, record: EpochRecord) -> None:
        """Nothing: epochs are exported with their trial."""

    def finished(self, record: TrialRecord) -> None:
        """Export the trial, soon."""
        self._put(record)

    def add_artifacts(self, paths: Sequence[Path]) -> None:
        """Put files (figures, tables) into the sweep's own run, soon, in the place of earlier ones of that name."""
        self._put(paths)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Finish what is under way, within ``seconds``."""
        if not self._thread.is_alive():
            return
        self._tasks.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            logger.warning("MLflow is slow: its mirror is not complete yet; the next launch exports what is missing")

    def _put(self, task: TrialRecord | Sequence[Path]) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._tasks.put(task)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            if time.monotonic() < self._retry:
                self._behind = True
                continue
            try:
                self._do(task)
                self._failures = 0
            except Exception as error:  # whatever it is, it is no trial's business
                self._fail(error)

    def _do(self, task: TrialRecord | Sequence[Path]) -> None:
        self._mirror.open()
        if self._behind:
            self._mirror.catch_up()
            self._behind = False
        if isinstance(task, TrialRecord):
            self._mirror.export(task)
        else:
            self._mirror.add_artifacts(task)

    def _fail(self, error: Exception) -> None:
        if not self._failures:
            uri, reason = redacted(self._mirror.uri), redacted(str(error)).strip().partition("\n")[0][:300]
            logger.warning(
                f"MLflow at {uri} does not answer as it should ({type(error).__name__}: {reason}). "
                "The sweep goes on, its records are safe in the store; launch it again to export what MLflow lacks, "
                "or turn the mirror off with --set tracking.enabled=false"
            )
        self._retry = time.monotonic() + min(RETRY_SECONDS * 2**self._failures, 3600.0)
        self._failures, self._behind = self._failures + 1, True
        self._mirror.close()
