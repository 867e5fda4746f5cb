"""The names of a store's files, and checks that their contents match the names."""

import re
from dataclasses import dataclass

import pyarrow as pa

from sweep.records import OUTCOME
from sweep.store.parquet import Damaged

TRIAL_ID = re.compile(r"[0-9a-f]{16}")
SWEEP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOOSE = re.compile(rf"({TRIAL_ID.pattern})(?:-([0-9a-f]{{8}}))?\.parquet")

Key = tuple[str, str | None]  # a trial's id and its outcome's id, which is None in stores of earlier versions


@dataclass(frozen=True)
class Loose:
    """A file of one outcome of one trial."""

    name: str  # "trials/….parquet"
    trial_id: str
    outcome: str | None

    @property
    def key(self) -> Key:
        """The trial's id and the outcome's id."""
        return self.trial_id, self.outcome


def loose_file(folder: str, name: str) -> Loose | None:
    """The file of one outcome that has this name; None for the name of any other file."""
    matched = None if folder == "sweeps" else _LOOSE.fullmatch(name)
    return Loose(f"{folder}/{name}", matched[1], matched[2]) if matched else None


def outcome_file(folder: str, key: Key) -> str:
    """The name of the file of one outcome of one trial."""
    trial_id, outcome = key
    return f"{folder}/{trial_id}-{outcome}.parquet" if outcome else f"{folder}/{trial_id}.parquet"


def check_id(trial_id: str) -> None:
    """Raise ValueError unless this is a trial's id, which is safe as part of a file's name."""
    if not TRIAL_ID.fullmatch(trial_id):
        raise ValueError(f"{trial_id!r} is not a trial id, which has 16 hex digits")


def check_contents(folder: str, name: str, rows: pa.Table) -> None:
    """Check that a file holds the trial, outcome or sweep in its name, and that all ids are safe as file names.

    Raises:
        Damaged: a check fails.
    """
    column, form = ("name", SWEEP_NAME) if folder == "sweeps" else ("trial_id", TRIAL_ID)
    if column not in rows.column_names:
        return
    values = set(rows[column].unique().to_pylist())
    if not all(isinstance(value, str) and form.fullmatch(value) for value in values):
        raise Damaged(f"not a file of this store: a {column} is invalid")
    loose = loose_file(folder, name)
    if folder == "sweeps" and values != {name.removesuffix(".parquet")}:
        raise Damaged("its name does not match: it holds another sweep")
    if loose and values != {loose.trial_id}:
        raise Damaged("its name does not match: it holds another trial" if values else "it has no rows")
    if (
        loose
        and folder == "trials"
        and OUTCOME in rows.column_names
        and set(rows[OUTCOME].to_pylist()) != {loose.outcome}
    ):
        raise Damaged("its name does not match: it holds another outcome")
