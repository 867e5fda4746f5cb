"""Whether MLflow's database can be read at all, and what to do where it cannot."""

import shlex
import sqlite3
from contextlib import closing

from sweep.tracking.places import sqlite_file


def damage(uri: str) -> str | None:
    """What is to be said of a damaged SQLite database, with what helps; None of one in order, or of another kind."""
    file = sqlite_file(uri)
    if file is None or not file.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # locked, or not for this user to read
        return None
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found == "ok":
        return None
    aside = shlex.join(["mv", str(file), f"{file}.damaged"])
    return f"MLflow's database {file} is damaged ({' '.join(found.split())[:200]}); move it away: {aside}"
