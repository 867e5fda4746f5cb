"""MlflowClient whose calls another thread can watch: how long one has waited; and can stop."""

import contextlib
import importlib
import logging
import os
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from sweep.errors import InputError
from sweep.text import redacted
from sweep.tracking.database import create_database, damage
from sweep.tracking.uri import NO_TELEMETRY, check, is_server, refused

ENVIRONMENT = {  # unless the user has set another value: no code may depend on these values
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # by default a call to a dead server takes four minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    **NO_TELEMETRY,
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
EXISTS, MISSING, REFUSED = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"  # its codes

T = TypeVar("T")


class MlflowUnavailable(Exception):
    """MLflow did not answer, or with an error. The text says why, without secrets.

    Attributes:
        code: MLflow's error code, if there is one.
    """

    def __init__(self, uri: str, error: Exception):
        damaged = damage(uri) if "sqlite3.DatabaseError" in str(error) else None
        failed = f"MLflow at {redacted(uri)} does not answer as it should ({redacted(_reason(error))})"
        super().__init__(damaged or failed)
        self.code = getattr(error, "error_code", None)


class ArtifactsElsewhereError(MlflowUnavailable):
    """MLflow keeps a run's files at a place that sweep does not write to."""

    def __init__(self, uri: str, place: str):
        super().__init__(uri, PermissionError(place))
        self.args = (
            f"MLflow at {redacted(uri)} keeps files of runs at {redacted(place)}, which is neither in the store nor"
            " served by it: sweep writes none there. Name a server that serves artifacts, or another database",
        )


class Client:
    """An MlflowClient for one thread, without global state; other threads use ``waiting_seconds`` and ``stop``.

    It connects when it is first used. It has every method of MlflowClient; each raises :class:`MlflowUnavailable`, or
    InputError where the URI is invalid.

    Attributes:
        uri: of the server or database; may hold a secret.
        answers: how many calls have been answered so far.
        is_stopped: whether further calls fail at once.
    """

    def __init__(self, uri: str):
        self.uri, self.answers, self.is_stopped = uri, 0, False
        self._client: Any = None
        self._called: float | None = None  # when the current call began

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._call_method, name)

    @property
    def waiting_seconds(self) -> float:
        """Seconds that the current call has waited for an answer; 0 between calls."""
        called = self._called
        return 0.0 if called is None else time.monotonic() - called

    def stop(self) -> None:
        """Let every further call fail at once. The current call is not interrupted."""
        self.is_stopped = True

    def disconnect(self) -> None:
        """Connect again at the next call."""
        self._client = None

    def watched(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which is watched and stopped like a call of MlflowClient.

        Raises:
            MlflowUnavailable: it failed.
        """
        return self._call(work)

    def _call_method(self, method: str, *arguments: Any, **named: Any) -> Any:
        if self._client is None:
            check(self.uri)
            if is_server(self.uri):
                _import_ipython()
            mlflow = _mlflow()  # the import takes long, but does not wait for an answer
            self._client = self._call(partial(_connect, mlflow, self.uri))
        answer = self._call(partial(getattr(self._client, method), *arguments, **named))
        self.answers += 1
        return answer

    def _call(self, function: Callable[[], T]) -> T:
        if self.is_stopped:
            raise MlflowUnavailable(self.uri, ConnectionAbortedError("given up"))
        self._called = time.monotonic()
        try:
            return function()
        except InputError:
            raise
        except Exception as error:
            raise MlflowUnavailable(self.uri, error) from None  # the error's own text may hold a secret
        finally:
            self._called = None


def _reason(error: Exception) -> str:
    """The error in one line; of a failed connection, the cause that requests and urllib3 wrap."""
    text = " ".join(str(error).split())
    core = re.search(r"Caused by (\w+)\((.*)", text)
    if core:
        return f"{core[1]}: " + re.sub(r"[\"']?\)+$", "", core[2].rpartition(": ")[2])
    return f"{type(error).__name__}: {text}"[:300].rstrip(": ")


def _import_ipython() -> None:
    """Import IPython where it is installed, as MLflow does at its first request to a server, but at once.

    Figures, drawn by another thread, look into it, and wait for an import that has begun.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("IPython")


def _mlflow() -> Any:
    """MLflow with short time limits. It prints and logs nothing: its errors are raised."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # takes more than a second

    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in ("alembic.runtime.migration", "mlflow.store.db.utils"):
        # a filter stays when alembic sets the levels anew, as older MLflow does in each migration
        logging.getLogger(name).addFilter(_is_error)
    return mlflow


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _connect(mlflow: Any, uri: str) -> Any:
    try:
        create_database(mlflow, uri)
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (ModuleNotFoundError, FileNotFoundError, PermissionError) as error:  # a database's driver, or its folder
        raise refused(uri, str(error)) from None
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != REFUSED:
            raise
        raise refused(uri, str(error).strip().partition(". ")[0]) from None
