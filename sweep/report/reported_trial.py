"""A trial of a report of which other results are kept, too."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.records import TrialRecord


@dataclass(frozen=True)
class ReportedTrial(TrialRecord):
    """A trial that completed with several results, as the outcome that counts has it.

    Attributes:
        other_results: the rows of outcomes with other results, written last first.
    """

    other_results: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)


def other_results(trial: TrialRecord) -> tuple[Mapping[str, Any], ...]:
    """The rows of a trial's other results; none of most trials."""
    return trial.other_results if isinstance(trial, ReportedTrial) else ()


def in_conflict(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials with other results."""
    return [trial for trial in trials if other_results(trial)]
