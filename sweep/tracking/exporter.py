"""The exporter: a thread of the driver that mirrors a sweep while it runs, and that nobody waits for."""

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
from sweep.tracking import stored
from sweep.tracking.client import Away, Client
from sweep.tracking.mirror import Mirror
from sweep.tracking.places import default_uri, sqlite_file

RETRY_SECONDS = 30.0  # after the first failure; twice as long after each that follows
CLOSE_SECONDS = 30.0  # at the most, for what is left to export
SILENCE_SECONDS = 5.0  # of them for a call that is not answered

logger = logging.getLogger("sweep.tracking")


class Exporter:
    """A watcher that mirrors a sweep; a context manager. Raises nothing, and what it is told takes it no time.

    Left, it ends what is under way as long as MLflow answers: within :data:`CLOSE_SECONDS`, within
    :data:`SILENCE_SECONDS` where a call is not answered, and at once where the last one failed.

    Nothing happens before the first trial starts: a sweep that cannot start leaves no database behind.
    """

    def __init__(self, sweep: SweepConfig, trials: Mapping[str, TrialConfig], store: Store, *, is_whole: bool = True):
        """
        Args:
            sweep: as it is launched.
            trials: those that it asks for.
            store: where they are.
            is_whole: False where these are some of the sweep's trials, as of a retry, and ``sweep`` is of them alone:
                then the config of the sweep's last launch is shown.
        """
        self._sweep, self._trials, self._store, self._is_whole = sweep, trials, store, is_whole
        self._client = Client(sweep.tracking.uri or default_uri(store))
        self._tasks: queue.SimpleQueue[str | Sequence[Path] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._mirror: Mirror | None = None
        self._is_level = False  # whether MLflow has all that the store had when last looked at
        self._artifacts: list[Path] | None = None  # those to put into the sweep's own run, if it is time for that
        self._failures, self._retry = 0, 0.0  # in a row, and when there may be another
        self._answers = 0  # calls answered until the last failure

    def __enter__(self) -> "Exporter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # what it is told

    def started(self, trial: TrialConfig) -> None:
        """Begin, with what earlier launches have left to do."""
        if self._thread.ident is None:
            self._put([])

    def epoch(self, record: EpochRecord) -> None:
        """Nothing: epochs are exported with their trial."""

    def finished(self, record: TrialRecord) -> None:
        """Export the trial as the store has it, soon."""
        self._put(record.trial_id)

    def add_artifacts(self, paths: Sequence[Path]) -> None:
        """Put files (figures, tables) into the sweep's own run, soon, in the place of earlier ones of that name.

        And export trials of the sweep that another launch has ended.
        """
        self._put(paths)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Finish what is under way, within ``seconds``, or less where MLflow does not answer."""
        if self._thread.ident is None or self._client.is_cut:
            return
        self._tasks.put(None)
        end = time.monotonic() + seconds
        while self._thread.is_alive() and time.monotonic() < end and self._has_hope():
            self._thread.join(0.05)
        self._client.cut()
        if self._thread.is_alive() or not self._is_level:
            logger.warning(f"MLflow lacks a part of sweep {self._sweep.name}. When it answers, run: {self._command()}")

    def _put(self, task: str | Sequence[Path]) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._tasks.put(task)

    def _has_hope(self) -> bool:
        """Whether waiting may help: a call has been answered since the last failure, and none is late."""
        if self._failures and self._client.answers == self._answers:
            return False
        return sqlite_file(self._client.uri) is not None or self._client.silence < SILENCE_SECONDS

    # the thread

    def _work(self) -> None:
        while (names := self._next()) is not None:
            if time.monotonic() < self._retry:
                self._is_level = False
                continue
            try:
                self._do(names)
                self._failures = 0
            except Exception as error:  # whatever it is, it is no trial's business
                self._fail(error)

    def _next(self) -> set[str] | None:
        """The trials to export, as many as there are by now; None after the last."""
        task, names = self._tasks.get(), set[str]()
        if task is None:
            return None
        while task is not None:
            if isinstance(task, str):
                names.add(task)
            else:
                self._artifacts = [*(self._artifacts or ()), *task]
                names |= self._trials.keys() - (self._mirror.is_shown if self._mirror else set())
            if self._tasks.empty():
                return names
            task = self._tasks.get()
        self._tasks.put(None)
        return names

    def _do(self, names: set[str]) -> None:
        was_level, self._is_level = self._is_level, False
        if self._mirror is None:
            self._mirror = self._make_mirror()
        tally = self._mirror.level(names if was_level else None)
        self._is_level = not tally.busy
        if self._artifacts is not None:
            paths, self._artifacts = self._artifacts, None
            self._add(self._mirror, paths)

    def _add(self, mirror: Mirror, paths: Sequence[Path]) -> None:
        """Trials are shown all the same where this fails."""
        try:
            mirror.add_artifacts(paths)
        except Away as error:
            if not self._client.is_cut:
                logger.warning(f"{error}: it lacks the config, figures and tables of sweep {self._sweep.name}")

    def _make_mirror(self) -> Mirror:
        """Of the sweep's trials, and of those that earlier launches of the sweep had."""
        mine = {name: json.loads(trial.to_json()) for name, trial in self._trials.items()}
        sweep = next((each for each in stored.sweeps(self._store) if each.name == self._sweep.name), None)
        trials = stored.configs(sweep.rows if sweep else ()) | mine
        launched = sweep.config if sweep and not self._is_whole else None
        return Mirror(self._sweep.name, trials, self._store, self._client, launched or self._sweep.as_dict())

    def _fail(self, error: Exception) -> None:
        if not self._failures and not self._client.is_cut:
            said = str(error) if isinstance(error, Away) else f"The mirror in MLflow fails ({_reason(error)})"
            logger.warning(
                f"{said}. The sweep goes on, its records are safe in the store. What MLflow lacks is exported once it"
                f" answers; after the sweep, with: {self._command()}. To do without: --set tracking.enabled=false"
            )
        self._answers = self._client.answers
        self._retry = time.monotonic() + min(RETRY_SECONDS * 2**self._failures, 3600.0)
        self._failures += 1
        if self._mirror is not None:
            self._mirror.close()

    def _command(self) -> str:
        """What brings MLflow level, for people to copy."""
        uri = redacted(self._client.uri)
        named = ["--uri", uri] if uri != self._client.uri else []  # the store keeps no secret
        return shlex.join(["sweep", "sync", self._store.name, *named])


def _reason(error: Exception) -> str:
    return redacted(f"{type(error).__name__}: {error}").partition("\n")[0][:300]
