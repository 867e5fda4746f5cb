"""The table of trials: its columns as JSON, of which the page's script shows a window of rows."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.records import COMPLETED, STATUSES, TrialRecord
from sweep.report.cells import is_collapsed
from sweep.report.conflict_text import outcome_text
from sweep.report.names import architecture_name, data_name, method_name, method_order
from sweep.report.reported_trial import other_results
from sweep.report.trials import Panel
from sweep.text import one_line, percent, redacted

AT_CHANCE = "completed, at chance"
_STATUSES = (COMPLETED, AT_CHANCE, *(status for status in STATUSES if status != COMPLETED))
_MOST_CHOICES = 200  # of a list to choose from; beyond them the search finds the value
_LONGEST_ERROR = 160  # characters; the page's section on failures has more of it

Row = tuple[Panel, TrialRecord]


@dataclass(frozen=True)
class TrialColumn:
    """One column of the table, a value for each trial.

    Attributes:
        key: the record's field, or what it is made of.
        name: its heading.
        values: numbers, rounded as they are shown; texts; or places in ``levels``. None: unknown.
        levels: the different values of a column that has few, in order; the column is sorted by this order.
        digits: decimals of a number; None for texts and levels.
        choice: whether the page offers to filter by its levels.
    """

    key: str
    name: str
    values: Sequence[Any]
    levels: Sequence[str] | None = None
    digits: int | None = None
    choice: bool = False

    @property
    def kind(self) -> str:
        """How it is laid out: "number" at the right, "text" at the left, "long" text in several lines."""
        if self.key in ("error", "other_results"):
            return "long"
        return "number" if self.digits is not None or self.key in ("sparsity", "seed") else "text"


def trial_columns(panels: Sequence[Panel]) -> list[TrialColumn]:
    """The columns, a value for each trial: panel by panel, by method, sparsity and seed. Empty columns are left out."""
    rows = [(panel, trial) for panel in panels for trial in sorted(panel.trials, key=_by_method)]
    columns = [
        TrialColumn("trial_id", "Trial", [trial.trial_id for _, trial in rows]),
        _levels("data", "Data", rows, lambda panel, _: data_name(panel.data, panel.encoding, panel.train)),
        _levels("architecture", "Network", rows, lambda panel, _: architecture_name(panel.architecture)),
        _levels("setting", "Setting", rows, lambda panel, _: panel.setting or "–"),
        _methods(rows),
        _rising("sparsity", "Sparsity", rows, percent),
        _rising("seed", "Seed", rows, str),
        _levels("status", "Status", rows, lambda _, trial: _status(trial), _STATUSES),
        _levels("cluster", "Cluster", rows, lambda _, trial: trial.cluster or "–"),
        _number("test_accuracy", "Test accuracy, %", rows, 2, 100),
        _number("validation_accuracy", "Validation accuracy, %", rows, 2, 100),
        _number("effective_sparsity", "Effective sparsity, %", rows, 3, 100),
        _number("kept", "Weights kept", rows, 0),
        _number("epochs", "Epochs", rows, 0),
        _number("training_flops_share", "FLOPs, × dense", rows, 3),
        _number("seconds", "Seconds", rows, 1),
        TrialColumn("other_results", "Other results", [_other_results(trial) for _, trial in rows]),
        TrialColumn("error", "Error", [_error(trial) for _, trial in rows]),
    ]
    return [column for column in columns if _tells(column)]


def as_json(columns: Iterable[TrialColumn]) -> str:
    """The columns for a ``script`` element: no character in it ends the element or starts a tag."""
    values = [
        {"key": c.key, "values": c.values, "levels": c.levels, "digits": c.digits, "choice": c.choice} for c in columns
    ]
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone half of a character pair cannot be written


def _by_method(trial: TrialRecord) -> tuple[Any, ...]:
    return method_order(trial.method_label), trial.sparsity, trial.seed


def _tells(column: TrialColumn) -> bool:
    if column.key in ("data", "architecture", "setting"):
        return len(column.levels or ()) > 1
    if column.key == "cluster":
        return column.levels != ["–"]
    return column.key == "status" or any(value is not None for value in column.values)


def _levels(
    key: str, name: str, rows: Sequence[Row], text: Callable[[Panel, TrialRecord], str], order: Sequence[str] = ()
) -> TrialColumn:
    """A column of few different texts; those of ``order`` in this order, others as they come."""
    texts = [text(panel, trial) for panel, trial in rows]
    present = set(texts)
    levels = list(dict.fromkeys([*(level for level in order if level in present), *texts]))
    places = {level: place for place, level in enumerate(levels)}
    return TrialColumn(key, name, [places[value] for value in texts], levels, choice=1 < len(levels) <= _MOST_CHOICES)


def _methods(rows: Sequence[Row]) -> TrialColumn:
    labels = sorted({trial.method_label for _, trial in rows}, key=method_order)
    names = {label: method_name(label) for label in labels}
    return _levels("method", "Method", rows, lambda _, trial: names[trial.method_label], list(names.values()))


def _rising(field: str, name: str, rows: Sequence[Row], text: Callable[[Any], str]) -> TrialColumn:
    """A column of an axis of the grid, by value."""
    levels = [text(value) for value in sorted({getattr(trial, field) for _, trial in rows})]
    return _levels(field, name, rows, lambda _, trial: text(getattr(trial, field)), levels)


def _number(field: str, name: str, rows: Sequence[Row], digits: int, factor: int = 1) -> TrialColumn:
    values = [_rounded(getattr(trial, field), digits, factor) for _, trial in rows]
    return TrialColumn(field, name, values, digits=digits)


def _rounded(value: float | None, digits: int, factor: int) -> float | int | None:
    """As Python prints it, so that the page shows the digits that the tables of the report show; None of no number."""
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return None
    return float(f"{factor * value:.{digits}f}") if digits else round(factor * value)


def _status(trial: TrialRecord) -> str:
    return AT_CHANCE if trial.status == COMPLETED and is_collapsed(trial) else trial.status


def _other_results(trial: TrialRecord) -> str | None:
    """The accuracy of each other result, and where it came about."""
    return "; ".join(outcome_text(other) for other in other_results(trial)) or None


def _error(trial: TrialRecord) -> str | None:
    if trial.status == COMPLETED or not trial.error_type:
        return None
    return one_line(redacted(f"{trial.error_type}: {trial.error_message or ''}"), _LONGEST_ERROR)
