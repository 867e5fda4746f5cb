"""Sweeps as a store tells of them: no YAML, and nothing that a config names is imported."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sweep.records import SweepRecord
from sweep.store import Store
from sweep.store.sweeps import trials_by_sweep

COLUMNS = ["trial_id", "sweep", "status", "written", "config"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """A sweep, and those of its trials that the store has.

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
    rows, records = store.trials(columns=COLUMNS), {record.name: record for record in store.sweeps()}
    by_id = {row["trial_id"]: row for row in rows.to_pylist()}
    return [
        Stored(name, [by_id[trial] for trial in trials if trial in by_id], records.get(name))
        for name, trials in trials_by_sweep(records.values(), rows).items()
    ]


def configs(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """Configs by trial id."""
    return {row["trial_id"]: json.loads(row["config"]) for row in rows}
