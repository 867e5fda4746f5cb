"""Files of runs (figures, tables) beside an SQLite database: always written there, and named relative to it.

MLflow writes a file wherever its database says that a run's files are. That is wrong once a store has been moved, and
in a store from elsewhere it may be anything. So sweep writes these files itself, into the folder of the database and
never outside it, and sets what the database says: places relative to that folder (``mlflow-artifacts:/SWEEP``), which
MLflow's server resolves by its option ``--artifacts-destination``.
"""

import contextlib
import os
import re
import sqlite3
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

FOLDER = "mlflow-artifacts"
SERVED = "mlflow-artifacts:/"  # begins locations relative to a server's folder of artifacts
_LOCK_SECONDS = 30.0  # how long to wait while another program has the database locked
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ArtifactFolder:
    """The folder with the files of one experiment's runs.

    Attributes:
        base: the folder that it lies in, in :data:`FOLDER`: that of the database, or of the store.
        name: of the sweep, or what else the experiment's location names.
    """

    base: Path
    name: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.base.absolute() / FOLDER / self.name

    def put(self, run_id: str, name: str, data: bytes) -> None:
        """Write one file of a run, replacing an earlier one of that name.

        Raises:
            PermissionError: a link leads out of the base.
            OSError: the file cannot be written.
        """
        base = Path(os.path.realpath(self.base.absolute()))
        folder = base / FOLDER / self.name / run_id / "artifacts"
        if not _RUN_ID.fullmatch(run_id) or Path(os.path.realpath(folder)) != folder:
            raise PermissionError(f"{folder} leads out of the folder of the database")
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{uuid.uuid4().hex}.tmp"
        try:
            temporary.write_bytes(data)
            os.replace(temporary, folder / name)  # replaces a link of this name instead of following it
        finally:
            temporary.unlink(missing_ok=True)


def folder_in(database: Path, sweep: str, is_owned: bool) -> ArtifactFolder | None:
    """The folder of a sweep's artifacts beside an SQLite database, which is set to name it.

    Args:
        database: the SQLite file.
        sweep: name of the sweep and of its experiment.
        is_owned: whether the database is the store's own: then any other location is replaced.

    Returns:
        None if somebody chose another location in a database of their own.
    """
    with contextlib.closing(sqlite3.connect(database, timeout=_LOCK_SECONDS)) as connection:
        query = "select artifact_location, experiment_id from experiments where name = ?"
        row = connection.execute(query, (sweep,)).fetchone()
        if row is None:
            return None
        location, number = str(row[0]), f"{row[1]:d}"
        name = number if is_owned and location == SERVED + number else sweep  # a server's own choice
        if not is_owned and not _is_ours(location, sweep):
            return None
        _set_location(connection, sweep, SERVED + name)
    return ArtifactFolder(database.absolute().parent, name)


def set_all_locations(database: Path, owned: Collection[str] = ()) -> None:
    """Set the location of all sweeps' artifacts to the folder beside their SQLite database, if it can be written.

    Args:
        database: the SQLite file.
        owned: sweeps of the store whose own database it is; of the others, only locations that sweep chose are set.
    """
    with contextlib.suppress(sqlite3.OperationalError):
        with contextlib.closing(sqlite3.connect(database, timeout=_LOCK_SECONDS)) as connection:
            names = [name for (name,) in connection.execute("select name from experiments")]
        for name in names:
            folder_in(database, name, is_owned=name in owned)


def local_path(location: str) -> Path | None:
    """The local path that a location of MLflow names; None of a bucket, or of a place that a server serves."""
    parts = urlsplit(location)
    if parts.scheme in ("", "file"):
        return Path(unquote(parts.path) if parts.scheme else location)
    return None


def _is_ours(location: str, sweep: str) -> bool:
    """Whether sweep chose this location, in any folder."""
    return location == SERVED + sweep or location.endswith(f"/{FOLDER}/{quote(sweep)}")


def _set_location(connection: sqlite3.Connection, sweep: str, location: str) -> None:
    """Set the location of an experiment and its runs; a database that has it is not written to."""
    where = "experiment_id = (select experiment_id from experiments where name = ?)"
    artifacts = "? || '/' || run_uuid || '/artifacts'"
    elsewhere = f"select 1 from runs where {where} and artifact_uri is not {artifacts} limit 1"
    changed = "select 1 from experiments where name = ? and artifact_location is not ?"
    if (
        connection.execute(changed, (sweep, location)).fetchone()
        or connection.execute(elsewhere, (sweep, location)).fetchone()
    ):
        with connection:
            connection.execute("update experiments set artifact_location = ? where name = ?", (location, sweep))
            connection.execute(f"update runs set artifact_uri = {artifacts} where {where}", (location, sweep))
