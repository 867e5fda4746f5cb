"""MlflowClient, watched: others can see how long a call has waited, and can have no more made."""

import contextlib
import logging
import os
import re
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sweep.errors import InputError
from sweep.text import redacted
from sweep.tracking.damage import damage
from sweep.tracking.places import check, refused, sqlite_file, sqlite_uri

ENVIRONMENT = {  # unless the user has set another value; nobody may rely on these being short
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # by default a call to a dead server takes four minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
EXISTS, REFUSED = "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE"  # MLflow's codes

T = TypeVar("T")


class Away(Exception):
    """MLflow did not answer, or not as it should. The text says why, without secrets.

    Attributes:
        code: MLflow's own word for it, if it has one.
    """

    def __init__(self, uri: str, error: Exception):
        damaged = damage(uri) if "sqlite3.DatabaseError" in str(error) else None
        silent = f"MLflow at {redacted(uri)} does not answer as it should ({redacted(_reason(error))})"
        super().__init__(damaged or silent)
        self.code = getattr(error, "error_code", None)


class Client:
    """An MlflowClient: nothing global, for one thread; ``silence`` and ``cut`` are for others.

    Connects when it is first used. Every method of MlflowClient is one of this, and raises :class:`Away`, or InputError
    where the URI can be nobody's.

    Attributes:
        uri: of the server or database; may hold a secret.
        answers: how many calls have been answered so far.
        is_cut: whether no more calls are made.
    """

    def __init__(self, uri: str):
        self.uri, self.answers, self.is_cut = uri, 0, False
        self._client: Any = None
        self._asked: float | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._ask, name)

    @property
    def silence(self) -> float:
        """Seconds that the call under way has waited for an answer; 0 where there is none."""
        asked = self._asked
        return 0.0 if asked is None else time.monotonic() - asked

    def cut(self) -> None:
        """Have no more calls made. The one under way is left to itself."""
        self.is_cut = True

    def disconnect(self) -> None:
        """Connect again, next time."""
        self._client = None

    def do(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, which is no call of MlflowClient's but is watched as one.

        Raises:
            Away: it failed.
        """
        return self._call(work)

    def _ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        if self._client is None:
            check(self.uri)
            mlflow = _mlflow()  # which is no waiting for an answer, long as it takes
            self._client = self._call(partial(_connect, mlflow, self.uri))
        answer = self._call(partial(getattr(self._client, method), *arguments, **named))
        self.answers += 1
        return answer

    def _call(self, ask: Callable[[], T]) -> T:
        if self.is_cut:
            raise Away(self.uri, ConnectionAbortedError("given up"))
        self._asked = time.monotonic()
        try:
            return ask()
        except InputError:
            raise
        except Exception as error:
            raise Away(self.uri, error) from None  # whose own text may hold a secret
        finally:
            self._asked = None


def _reason(error: Exception) -> str:
    """The error in a line; of what requests and urllib3 wrap around a failed connection, the core."""
    text = " ".join(str(error).split())
    core = re.search(r"Caused by (\w+)\((.*)", text)
    if core:
        return f"{core[1]}: " + re.sub(r"[\"']?\)+$", "", core[2].rpartition(": ")[2])
    return f"{type(error).__name__}: {text}"[:300].rstrip(": ")


def _mlflow() -> Any:
    """MLflow with short time limits, that prints nothing: whatever it has to say, it raises."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # takes more than a second, so not before it is needed

    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def _connect(mlflow: Any, uri: str) -> Any:
    try:
        _make_database(mlflow, uri)
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (ModuleNotFoundError, FileNotFoundError, PermissionError) as error:  # a database's driver, or its folder
        raise refused(uri, str(error)) from None
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != REFUSED:
            raise
        raise refused(uri, str(error).strip().partition(". ")[0]) from None


def _make_database(mlflow: Any, uri: str) -> None:
    """Make an SQLite database where there is none, whole or not at all.

    MLflow makes its tables one after another, for seconds. Whoever is killed meanwhile, or makes them in the same file
    at the same time, leaves a database that no MLflow opens again: so they are made beside its place.
    """
    file = sqlite_file(uri)
    if file is None or file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.absolute().with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        mlflow.MlflowClient(tracking_uri=sqlite_uri(beside)).search_experiments(max_results=1)
        _put_in_place(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def _put_in_place(beside: Path, file: Path) -> None:
    try:
        with contextlib.suppress(FileExistsError):  # another has been quicker: that is the database, then
            os.link(beside, file)
    except OSError:  # a file system without links
        os.replace(beside, file)
