"""Copies of outcomes: the files of one outcome, from single files and folds of one store to single files of another.

A copied file has the same bytes wherever it was copied from: those that this version of sweep writes. Single files that
it wrote are copied as they are.
"""

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from sweep.records import OUTCOME, schema
from sweep.store.conflicts import StoredOutcome, rows_by_outcome
from sweep.store.layout import Key, outcome_file
from sweep.store.parquet import FOLDERS, OF_OUTCOMES, Damaged, encode, renewed
from sweep.store.store import Store

_READ_AT_ONCE = ("epochs", "masks")  # of many outcomes in folds; final weights are too big
_SAYS_SO = {"epochs": "epochs", "masks": "mask_hash", "weights": "kept_weights_hash"}  # column, where there are rows
_ORDER = {"epochs": "epoch", "masks": "position", "weights": "position"}

Rows = list[dict[str, Any]]


class OutcomeFiles:
    """The files of some outcomes, to be copied."""

    def __init__(self, outcomes: Collection[StoredOutcome]):
        """Lists the folders once, and reads the epochs and masks that are in folds."""
        places: dict[Store, list[StoredOutcome]] = {}
        for outcome in outcomes:
            places.setdefault(outcome.place, []).append(outcome)
        self._names = {(place, folder): set(place.names(folder)) for place in places for folder in FOLDERS}
        self._folded: dict[tuple[Store, str], Mapping[Key, Rows]] = {}
        for place, stored in places.items():
            for folder in _READ_AT_ONCE:
                keys = {each.stored_key for each in stored if not self._is_single(each, folder)}
                self._folded[place, folder] = rows_by_outcome(place, folder, keys)

    def copy(self, outcome: StoredOutcome, target: Store) -> None:
        """Write an outcome's files to a store, its row last.

        Raises:
            Damaged: a file of the outcome is missing, cannot be read or has columns of another version of sweep.
                What is written then has no row, so that it does not count.
            StoreError: a store cannot be reached, or is full.
        """
        for folder in (*OF_OUTCOMES, "trials"):
            if (data := self._bytes(outcome, folder)) is not None:
                target.files.put(outcome_file(folder, outcome.key), data)

    def _is_single(self, outcome: StoredOutcome, folder: str) -> bool:
        name = outcome_file(folder, outcome.stored_key).partition("/")[2]
        return name in self._names[outcome.place, folder]

    def _bytes(self, outcome: StoredOutcome, folder: str) -> Any:
        """The bytes of one file; None where the outcome has none."""
        file = outcome_file(folder, outcome.stored_key)
        if folder == "trials" and outcome.key != outcome.stored_key:
            return self._encoded(folder, [{**outcome.row, OUTCOME: outcome.key[1]}])
        if self._is_single(outcome, folder):
            data = outcome.place.files.read(file)
            if data is None:
                raise Damaged(f"{file} was replaced meanwhile: merge again")
            try:
                return renewed(folder, data)
            except Damaged as error:
                raise Damaged(f"cannot read {file}: {error}") from error
        if folder == "trials":
            return self._encoded(folder, [dict(outcome.row)])
        rows = self._rows(outcome, folder)
        if not rows and outcome.row[_SAYS_SO[folder]]:
            raise Damaged(f"its {folder} are missing")
        return self._encoded(folder, sorted(rows, key=lambda row: row[_ORDER[folder]])) if rows else None

    def _rows(self, outcome: StoredOutcome, folder: str) -> Rows:
        """The rows of an outcome in a fold."""
        keys = {outcome.stored_key}
        known = self._folded.get((outcome.place, folder))
        return (rows_by_outcome(outcome.place, folder, keys) if known is None else known).get(outcome.stored_key, [])

    @staticmethod
    def _encoded(folder: str, rows: Rows) -> pa.Buffer:
        return encode(folder, pa.Table.from_pylist(rows, schema=schema(FOLDERS[folder])))
