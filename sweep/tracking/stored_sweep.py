"""A sweep that a store has. Its YAML is not needed, and nothing that a config names is imported."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sweep.records import SweepRecord
from sweep.store import Store
from sweep.store.sweeps import trials_by_sweep

COLUMNS = ["trial_id", "sweep", "status", "written", "outcome", "config"]

TrialRow = dict[str, Any]


@dataclass(frozen=True)
class StoredSweep:
    """A sweep, and those of its trials that the store has.

    Attributes:
        rows: the columns :data:`COLUMNS` of its trials.
        record: its last launch; None in stores of earlier versions.
    """

    name: str
    rows: list[TrialRow]
    record: SweepRecord | None

    @property
    def config(self) -> dict[str, Any] | None:
        """The config that it was last launched with, if it is known."""
        return json.loads(self.record.config) if self.record else None


def stored_sweeps(store: Store) -> list[StoredSweep]:
    """All sweeps of a store. A trial that two sweeps ask for is in both."""
    rows, records = store.trials(columns=COLUMNS), {record.name: record for record in store.sweeps()}
    by_id = {row["trial_id"]: row for row in rows.to_pylist()}
    return [
        StoredSweep(name, [by_id[trial] for trial in trials if trial in by_id], records.get(name))
        for name, trials in trials_by_sweep(records.values(), rows).items()
    ]


def trial_configs(rows: Iterable[TrialRow]) -> dict[str, dict[str, Any]]:
    """Configs by trial id."""
    return {row["trial_id"]: json.loads(row["config"]) for row in rows}
