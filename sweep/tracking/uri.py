"""Where MLflow is: tracking URIs of servers and databases, and the command that serves a database."""

import os
import re
import sys
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from sweep.errors import InputError
from sweep.store import Store
from sweep.text import redacted
from sweep.tracking.artifacts import FOLDER, SERVED, ArtifactFolder

NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def default_uri(store: Store) -> str:
    """An SQLite database in the folder of a local store; of a remote store, in the working folder."""
    return sqlite_uri(store_folder(store) / "mlflow.db")


def sqlite_uri(file: Path) -> str:
    """The tracking URI of an SQLite database, with special characters of URIs escaped.

    Where that changes the name, the URI also names SQLite's driver: with ``sqlite:///`` alone MLflow would create a
    folder of the escaped name.
    """
    path = str(file)
    escaped = re.sub(r"[%?]", lambda match: quote(match[0]), path)
    return f"sqlite:///{path}" if escaped == path else f"sqlite+pysqlite:///{escaped}"


def is_server(uri: str) -> bool:
    """Whether a tracking URI is a server's, rather than a database's."""
    return uri.startswith(("http://", "https://"))


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite database; None of any other URI."""
    match = re.fullmatch(r"sqlite(?:\+pysqlite)?:///([^?]+)(\?.*)?", uri)
    return Path(unquote(match[1])) if match else None


def check(uri: str) -> None:
    """Check the URI of a server.

    Raises:
        InputError: it is invalid.
    """
    if not is_server(uri):
        return  # MLflow checks all others itself
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port  # its getter raises ValueError
    except ValueError as error:
        raise refused(uri, str(error)) from None
    if not host:
        raise refused(uri, "it names no host")


def refused(uri: str, reason: str) -> InputError:
    """The error for an invalid tracking URI."""
    return InputError(
        f"tracking.uri: {redacted(uri)}: {redacted(reason)}; name a server, http://HOST:PORT, or a database,"
        " sqlite:////FOLDER/mlflow.db"
    )


def artifact_location(uri: str, store: Store, sweep: str) -> str | None:
    """What a new experiment says of where its artifacts are; None of a server, which decides that itself."""
    if is_server(uri):
        return None
    return SERVED + sweep if sqlite_file(uri) else ArtifactFolder(store_folder(store), sweep).path.as_uri()


def store_folder(store: Store) -> Path:
    """The folder of a local store; of a remote one, the working folder."""
    return (store.local or Path.cwd()).absolute()


def check_place(uri: str, store: Store) -> None:
    """Check that a database in the store's folder lies there, and is no link that leads out of it.

    Raises:
        InputError: it is one.
    """
    file = sqlite_file(uri)
    if file is None or store.local is None or not is_in_store(uri, store):
        return
    target = Path(os.path.realpath(file))
    if not target.is_relative_to(os.path.realpath(store.local)):
        raise InputError(
            f"{file}: this database is a link out of the store, to {target}; to write there, name it:"
            f" --uri {sqlite_uri(target)}"
        )


def is_in_store(uri: str, store: Store) -> bool:
    """Whether a database is in the store's folder, so that it has no runs of other stores."""
    file = sqlite_file(uri)
    return file is not None and store.local is not None and file.absolute().is_relative_to(store.local.absolute())


def ui_command(uri: str, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """The command that serves MLflow's web interface for a database: one process, on this machine only.

    Raises:
        InputError: ``uri`` is a server's.
    """
    if is_server(uri):
        raise InputError(f"tracking.uri: {redacted(uri)} is a server and has its own pages: open it in a browser")
    # PYTHONSAFEPATH: a file mlflow.py in the working folder must not be imported
    quiet = ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_LOGGING_LEVEL=WARNING", "PYTHONWARNINGS=ignore"]
    settings = ["PYTHONSAFEPATH=1", *(f"{name}={value}" for name, value in NO_TELEMETRY.items()), *quiet]
    serve = ["--backend-store-uri", uri, "--host", host, "--port", str(port), "--workers", "1"]
    if file := sqlite_file(uri):
        serve += ["--artifacts-destination", (file.absolute().parent / FOLDER).as_uri()]
    return ["env", *settings, sys.executable, "-m", "mlflow", "server", *serve, "--uvicorn-opts", "--log-level warning"]
