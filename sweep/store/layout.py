"""What the files of a store are called, and what each may hold."""

import re
from dataclasses import dataclass

import pyarrow as pa

from sweep.records import OUTCOME
from sweep.store.parquet import Damaged

TRIAL_ID = re.compile(r"[0-9a-f]{16}")
SWEEP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOOSE = re.compile(rf"({TRIAL_ID.pattern})(?:-([0-9a-f]{{8}}))?\.parquet")

Key = tuple[str, str | None]  # a trial, and which outcome of it: None in stores of earlier versions


@dataclass(frozen=True)
class Loose:
    """A file of one outcome of one trial."""

    name: str  # "trials/….parquet"
    trial_id: str
    outcome: str | None

    @property
    def key(self) -> Key:
        """What it is of."""
        return self.trial_id, self.outcome


def loose_file(folder: str, name: str) -> Loose | None:
    """What the name of a file of one outcome says; None for other files."""
    matched = None if folder == "sweeps" else _LOOSE.fullmatch(name)
    return Loose(f"{folder}/{name}", matched[1], matched[2]) if matched else None


def outcome_file(folder: str, key: Key) -> str:
    """The name of the file of one outcome of one trial."""
    trial_id, outcome = key
    return f"{folder}/{trial_id}-{outcome}.parquet" if outcome else f"{folder}/{trial_id}.parquet"


def check_id(trial_id: str) -> None:
    """A trial's id becomes the name of files: nothing else may."""
    if not TRIAL_ID.fullmatch(trial_id):
        raise ValueError(f"{trial_id!r} is no trial id: 16 hex digits")


def check_contents(folder: str, name: str, rows: pa.Table) -> None:
    """A file holds what its name says, and nothing in it can lead out of the store.

    Raises:
        Damaged: it does not.
    """
    column, form = ("name", SWEEP_NAME) if folder == "sweeps" else ("trial_id", TRIAL_ID)
    if column not in rows.column_names:
        return
    found = set(rows[column].unique().to_pylist())
    if not all(isinstance(each, str) and form.fullmatch(each) for each in found):
        raise Damaged(f"not a file of this store: a {column} in it is none")
    loose = loose_file(folder, name)
    if folder == "sweeps" and found != {name.removesuffix(".parquet")}:
        raise Damaged("not what its name says: it holds another sweep")
    if loose and found != {loose.trial_id}:
        raise Damaged("not what its name says: it holds another trial" if found else "it holds nothing")
    if (
        loose
        and folder == "trials"
        and OUTCOME in rows.column_names
        and set(rows[OUTCOME].to_pylist()) != {loose.outcome}
    ):
        raise Damaged("not what its name says: it holds another outcome")
