"""Figures and tables of a sweep's own run, in a folder beside an SQLite database.

MLflow stores absolute locations in its database. They are wrong once a store has been moved, and in a store from
elsewhere they may be anything. So the locations are set again whenever a sweep is shown, and files are written relative
to the folder of the database and never outside it.
"""

import contextlib
import os
import re
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

FOLDER = "mlflow-artifacts"
_LOCK_SECONDS = 30.0  # how long to wait while another program has the database locked
_SERVED = "mlflow-artifacts:"  # begins locations relative to the server that created the experiment
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ArtifactFolder:
    """The folder with the artifacts of one sweep's runs.

    Attributes:
        database: the SQLite file.
        sweep: the name of the sweep and of its experiment.
    """

    database: Path
    sweep: str

    @property
    def uri(self) -> str:
        """The folder as MLflow's ``artifact_location``."""
        return (self._root / self.sweep).as_uri()

    @property
    def _root(self) -> Path:
        return self.database.absolute().parent / FOLDER

    def put(self, run_id: str, name: str, data: bytes) -> None:
        """Write one artifact of a run, replacing an earlier one of that name.

        Raises:
            PermissionError: a link leads out of the folder of the database.
            OSError: the file cannot be written.
        """
        base = Path(os.path.realpath(self.database.absolute().parent))
        folder = base / FOLDER / self.sweep / run_id / "artifacts"
        if not _RUN_ID.fullmatch(run_id) or Path(os.path.realpath(folder)) != folder:
            raise PermissionError(f"{folder} leads out of the folder of the database")
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{uuid.uuid4().hex}.tmp"
        try:
            temporary.write_bytes(data)
            os.replace(temporary, folder / name)  # replaces a link of this name instead of following it
        finally:
            temporary.unlink(missing_ok=True)

    def set_location(self, always: bool) -> bool:
        """Store this folder as the location of the sweep's artifacts. Returns whether it is now.

        A location relative to a server is kept. The experiment has to exist.

        Args:
            always: also replace a location that sweep did not choose.
        """
        with contextlib.closing(sqlite3.connect(self.database, timeout=_LOCK_SECONDS)) as connection:
            query = "select artifact_location from experiments where name = ?"
            row = connection.execute(query, (self.sweep,)).fetchone()
            if row is None:
                return False
            if not _is_ours(row[0], self.sweep) and (not always or str(row[0]).startswith(_SERVED)):
                return False
            _set_location(connection, self.sweep, self.uri)
        return True


def set_all_locations(database: Path) -> None:
    """Set the location of all sweeps' artifacts to the folder beside their SQLite database, if it can be written."""
    with (
        contextlib.closing(sqlite3.connect(database, timeout=_LOCK_SECONDS)) as connection,
        contextlib.suppress(sqlite3.OperationalError),
    ):
        for name, location in connection.execute("select name, artifact_location from experiments").fetchall():
            if _is_ours(location, name):
                _set_location(connection, name, ArtifactFolder(database, name).uri)


def _is_ours(location: str | None, sweep: str) -> bool:
    """Whether sweep chose this location, in any folder."""
    return (location or "").endswith(f"/{FOLDER}/{quote(sweep)}")


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
