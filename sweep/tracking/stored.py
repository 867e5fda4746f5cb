"""Sweeps as a store tells of them: no YAML, and nothing that a config names is imported."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sweep.records import SweepRecord
from sweep.store import Store

COLUMNS = ["trial_id", "sweep", "status", "written", "config"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A sweep: the trials of its last launch, and of earlier ones under its name, that the store has.

    Attributes:
        rows: the columns :data:`COLUMNS` of its trials.
        record: its last launch; None in stores of earlier versions.
    """

    name: str
    rows: list[Row]
    record: SweepRecord | None

    @property
    def config(self) -> dict[str, Any] | None:
        """What it was launched with, if that is known."""
        return json.loads(self.record.config) if self.record else None


def sweeps(store: Store) -> list[Stored]:
    """All sweeps of a store. A trial that two of them ask for is in both."""
    rows = store.trials(columns=COLUMNS).to_pylist()
    records = {record.name: record for record in store.sweeps()}
    names = dict.fromkeys([*records, *(row["sweep"] for row in rows)])
    return [_stored(name, rows, records.get(name)) for name in names]


def of_sweep(name: str, store: Store) -> list[Row]:
    """The rows of the trials that ran in a sweep of this name."""
    return [row for row in store.trials(columns=COLUMNS).to_pylist() if row["sweep"] == name]


def configs(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """Configs by trial id."""
    return {row["trial_id"]: json.loads(row["config"]) for row in rows}


def _stored(name: str, rows: list[Row], record: SweepRecord | None) -> Stored:
    asked = set(record.trials) if record else set()
    return Stored(name, [row for row in rows if row["sweep"] == name or row["trial_id"] in asked], record)
