"""What a launch expected its trials to take: stored with the sweep, and compared with what they took."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sweep.records import COMPLETED, SweepRecord
from sweep.text import count, duration, percent_off

COLUMNS = ["trial_id", "status", "architecture_label", "method_label", "sparsity", "seconds", "written"]


class Range(NamedTuple):
    """An expected value, and the range that it lies in with about 95 % certainty."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> "Range":
        """All three, multiplied."""
        return Range(self.low * factor, self.expected * factor, self.high * factor)


class KindSeconds(NamedTuple):
    """Expected seconds of each trial of one architecture, method and sparsity, by their labels."""

    architecture: str
    method: str
    sparsity: float
    seconds: float


@dataclass(frozen=True)
class LaunchEstimate:
    """What a launch expected of the trials that it was to run.

    Attributes:
        made: when, UTC.
        kinds: seconds of its trials by kind.
        low, high: the range of their sum, as factors of it.
        start_seconds: what it took from the launch to its first trial; measured.
    """

    made: datetime
    kinds: tuple[KindSeconds, ...]
    low: float
    high: float
    start_seconds: float | None = None

    def to_json(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self) | {"made": self.made.isoformat(), "kinds": [list(kind) for kind in self.kinds]})

    @classmethod
    def of(cls, record: SweepRecord) -> "LaunchEstimate | None":
        """The estimate in a sweep's record; None where it has none, or one of another version."""
        try:
            values = json.loads(record.estimate or "")
            kinds = tuple(KindSeconds(*kind) for kind in values["kinds"])
            return cls(**values | {"made": datetime.fromisoformat(values["made"]), "kinds": kinds})
        except (ValueError, TypeError, KeyError):
            return None


class Deviation(NamedTuple):
    """How far an estimate was off, over the trials that its launch completed.

    Attributes:
        trials: how many these are.
        expected: their seconds by the estimate.
        measured: their seconds.
    """

    trials: int
    expected: Range
    measured: float

    @property
    def sentence(self) -> str:
        """It in words."""
        low, expected, high = map(duration, self.expected)
        return (
            f"The plan expected {expected} ({low} to {high}) of trial time for the {count(self.trials, 'trial')} that"
            f" the launch completed; they took {duration(self.measured)},"
            f" {percent_off(self.measured, self.expected.expected)}."
        )


def deviation(record: SweepRecord, rows: Iterable[Mapping[str, Any]]) -> Deviation | None:
    """How far the estimate in a sweep's record was off; None where it has none, or none of its trials completed.

    Args:
        record: the sweep's.
        rows: of trials, with :data:`COLUMNS`; of other sweeps and launches too.
    """
    estimate = LaunchEstimate.of(record)
    if estimate is None:
        return None
    seconds, ids = {kind[:3]: kind.seconds for kind in estimate.kinds}, set(record.trials)
    expected, measured = [], []
    for row in rows:
        kind = row["architecture_label"], row["method_label"], row["sparsity"]
        is_of_launch = row["trial_id"] in ids and row["written"] is not None and row["written"] >= estimate.made
        if is_of_launch and row["status"] == COMPLETED and row["seconds"] is not None and kind in seconds:
            expected.append(seconds[kind])
            measured.append(row["seconds"])
    if not measured:
        return None
    total = sum(expected)
    return Deviation(len(measured), Range(estimate.low * total, total, estimate.high * total), sum(measured))
