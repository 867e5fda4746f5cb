"""Figures and tables of a sweep's own run, beside an SQLite database: relative to it, and never outside its folder.

MLflow notes absolute places in its database. They are those of another folder once a store has been moved, and whatever
somebody wrote into a store that came from elsewhere. So the places are set anew whenever a sweep is shown, and the
files are written here, by the folder of the database alone.
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
_LOCK_SECONDS = 30.0  # that another program may have the database locked
_SERVED = "mlflow-artifacts:"  # relative to a server that the experiment was made through
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ArtifactFolder:
    """Where the artifacts of one sweep's runs lie.

    Attributes:
        database: the SQLite file.
        sweep: the name of the sweep, which is that of the experiment.
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
        """Write one artifact of a run, in the place of an earlier one of that name.

        Raises:
            PermissionError: a link leads out of the folder of the database.
            OSError: it cannot be written.
        """
        base = Path(os.path.realpath(self.database.absolute().parent))
        folder = base / FOLDER / self.sweep / run_id / "artifacts"
        if not _RUN_ID.fullmatch(run_id) or Path(os.path.realpath(folder)) != folder:
            raise PermissionError(f"{folder} leads out of the folder of the database")
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{uuid.uuid4().hex}.tmp"
        try:
            temporary.write_bytes(data)
            os.replace(temporary, folder / name)  # a link of this name is replaced, and not followed
        finally:
            temporary.unlink(missing_ok=True)

    def set_places(self, always: bool) -> bool:
        """Make the database say that the artifacts of the sweep lie here. Returns whether it does now.

        A place that is relative to a server is left as it is. There has to be the experiment.

        Args:
            always: also where somebody else chose another place than sweep would have; else that is left as it is.
        """
        with contextlib.closing(sqlite3.connect(self.database, timeout=_LOCK_SECONDS)) as connection:
            query = "select artifact_location from experiments where name = ?"
            found = connection.execute(query, (self.sweep,)).fetchone()
            if found is None:
                return False
            if not _is_ours(found[0], self.sweep) and (not always or str(found[0]).startswith(_SERVED)):
                return False
            _set_places(connection, self.sweep, self.uri)
        return True


def set_all_places(database: Path) -> None:
    """Make an SQLite database say of all sweeps in it that their artifacts lie beside it, if it can be written to."""
    with (
        contextlib.closing(sqlite3.connect(database, timeout=_LOCK_SECONDS)) as connection,
        contextlib.suppress(sqlite3.OperationalError),
    ):
        for name, location in connection.execute("select name, artifact_location from experiments").fetchall():
            if _is_ours(location, name):
                _set_places(connection, name, ArtifactFolder(database, name).uri)


def _is_ours(location: str | None, sweep: str) -> bool:
    """Whether sweep chose this place, in whatever folder it was."""
    return (location or "").endswith(f"/{FOLDER}/{quote(sweep)}")


def _set_places(connection: sqlite3.Connection, sweep: str, location: str) -> None:
    """Set what is not so already: a database that is right is not written to."""
    where = "experiment_id = (select experiment_id from experiments where name = ?)"
    place = "? || '/' || run_uuid || '/artifacts'"
    elsewhere = f"select 1 from runs where {where} and artifact_uri is not {place} limit 1"
    changed = "select 1 from experiments where name = ? and artifact_location is not ?"
    if (
        connection.execute(changed, (sweep, location)).fetchone()
        or connection.execute(elsewhere, (sweep, location)).fetchone()
    ):
        with connection:
            connection.execute("update experiments set artifact_location = ? where name = ?", (location, sweep))
            connection.execute(f"update runs set artifact_uri = {place} where {where}", (location, sweep))
