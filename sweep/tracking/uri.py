"""Where MLflow is: tracking URIs of servers and databases, and the command that serves a database."""

import re
import sys
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from sweep.errors import InputError
from sweep.store import Store
from sweep.text import redacted
from sweep.tracking.artifacts import ArtifactFolder


def default_uri(store: Store) -> str:
    """An SQLite database in the folder of a local store; of a remote store, in the working folder."""
    return sqlite_uri((store.local or Path.cwd()).absolute() / "mlflow.db")


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


def artifact_folder(uri: str, store: Store, sweep: str) -> str | None:
    """An absolute folder beside the database, as a URI; None for a server, which stores artifacts itself."""
    if is_server(uri):
        return None
    file = sqlite_file(uri) or (store.local or Path.cwd()) / "mlflow.db"
    return ArtifactFolder(file, sweep).uri


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
    quiet = ["env", "PYTHONSAFEPATH=1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true"]
    serve = ["--backend-store-uri", uri, "--host", host, "--port", str(port), "--workers", "1"]
    return [*quiet, sys.executable, "-m", "mlflow", "server", *serve]
