"""MLflow's SQLite database: created at once or not at all, and checked for damage."""

import contextlib
import logging
import os
import shlex
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from sweep.tracking.uri import sqlite_file, sqlite_uri


def create_database(mlflow: Any, uri: str) -> None:
    """Create an SQLite database where there is none.

    MLflow creates its tables one after another, for seconds. A process that is killed meanwhile, or two that create
    them in one file, leave a database that no MLflow opens again. So they are created in another file, which is then
    moved into place.
    """
    file = sqlite_file(uri)
    if file is None or file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.absolute().with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    disabled = logging.root.manager.disable
    logging.disable(logging.INFO)  # each of its migrations of the new database has a logger of its own
    try:
        mlflow.MlflowClient(tracking_uri=sqlite_uri(temporary)).search_experiments(max_results=1)
        _move_into_place(temporary, file)
    finally:
        logging.disable(disabled)
        temporary.unlink(missing_ok=True)


def _move_into_place(temporary: Path, file: Path) -> None:
    try:
        with contextlib.suppress(FileExistsError):  # another process was faster: its database is used
            os.link(temporary, file)
    except OSError:  # a file system without links
        os.replace(temporary, file)


def damage(uri: str) -> str | None:
    """What is wrong with a damaged SQLite database, and the command that helps; None if it is intact or no SQLite."""
    file = sqlite_file(uri)
    if file is None or not file.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            problem = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # locked, or this user may not read it
        return None
    except sqlite3.DatabaseError as error:
        problem = str(error)
    if problem == "ok":
        return None
    move = shlex.join(["mv", str(file), f"{file}.damaged"])
    return f"MLflow's database {file} is damaged ({' '.join(problem.split())[:200]}); move it away: {move}"
