"""Where MLflow is: servers, databases, and the command that shows one."""

import re
import sys
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from sweep.errors import InputError
from sweep.store import Store
from sweep.text import redacted
from sweep.tracking.artifacts import ArtifactFolder


def default_uri(store: Store) -> str:
    """An SQLite database in the store's folder, or, for a store elsewhere, in the current one."""
    return sqlite_uri((store.local or Path.cwd()).absolute() / "mlflow.db")


def sqlite_uri(file: Path) -> str:
    """The tracking URI of an SQLite database, with what has a meaning in a URI escaped in the name.

    Where that changes the name it also names SQLite's driver: for ``sqlite:///`` alone MLflow makes the folder that the
    escaped name would be.
    """
    path = str(file)
    escaped = re.sub(r"[%?]", lambda match: quote(match[0]), path)
    return f"sqlite:///{path}" if escaped == path else f"sqlite+pysqlite:///{escaped}"


def is_server(uri: str) -> bool:
    """Whether a tracking URI is a server's, rather than a database's."""
    return uri.startswith(("http://", "https://"))


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite database; None for what is none."""
    found = re.fullmatch(r"sqlite(?:\+pysqlite)?:///([^?]+)(\?.*)?", uri)
    return Path(unquote(found[1])) if found else None


def check(uri: str) -> None:
    """Make sure that a server's URI is one.

    Raises:
        InputError: it is not.
    """
    if not is_server(uri):
        return  # MLflow itself knows what else there is
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port  # whose getter raises what is no port
    except ValueError as error:
        raise refused(uri, str(error)) from None
    if not host:
        raise refused(uri, "it names no host")


def refused(uri: str, reason: str) -> InputError:
    """What to raise of a URI that cannot be MLflow's."""
    return InputError(
        f"tracking.uri: {redacted(uri)}: {redacted(reason)}; name a server, http://HOST:PORT, or a database,"
        " sqlite:////FOLDER/mlflow.db"
    )


def artifact_folder(uri: str, store: Store, sweep: str) -> str | None:
    """An absolute folder beside the database, as a URI; None for a server, which has a place of its own."""
    if is_server(uri):
        return None
    file = sqlite_file(uri) or (store.local or Path.cwd()) / "mlflow.db"
    return ArtifactFolder(file, sweep).uri


def is_of_store(uri: str, store: Store) -> bool:
    """Whether a database lies in the store's folder, and so belongs to it alone."""
    file = sqlite_file(uri)
    return file is not None and store.local is not None and file.absolute().is_relative_to(store.local.absolute())


def ui_command(uri: str, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """The command that serves MLflow's pages for a database: one small process, for this machine only.

    Raises:
        InputError: ``uri`` is a server's.
    """
    if is_server(uri):
        raise InputError(f"tracking.uri: {redacted(uri)} is a server and has its own pages: open it in a browser")
    # a file of this folder, mlflow.py, is not what is to be imported
    quiet = ["env", "PYTHONSAFEPATH=1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true"]
    serve = ["--backend-store-uri", uri, "--host", host, "--port", str(port), "--workers", "1"]
    return [*quiet, sys.executable, "-m", "mlflow", "server", *serve]
