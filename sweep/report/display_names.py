"""The ``label:`` of architectures and methods, as the sweeps of a report have it in their stored configs.

A trial's record is written once, and a label may change later: so labels are stored with the sweep, whose record each
launch replaces. Of several sweeps, or several stores, the one that was launched last decides.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweep.records import SweepRecord, TrialRecord

_AXES = ("architecture", "method")


def display_names(records: Iterable[SweepRecord], trials: Sequence[TrialRecord]) -> dict[str, dict[str, str]]:
    """Axis -> label of a record ("force rounds=300") -> what tables and figures call it.

    Args:
        records: of the sweeps that the report is of.
        trials: of the report.
    """
    latest: dict[str, SweepRecord] = {}
    for record in sorted(records, key=lambda record: record.launched):
        latest[record.name] = record
    given = [_given(json.loads(record.config)) for record in sorted(latest.values(), key=lambda r: r.launched)]
    names: dict[str, dict[str, str]] = {axis: {} for axis in _AXES}
    if not any(given):
        return names
    named = {key: name for of_sweep in given for key, name in of_sweep.items()}
    for axis in _AXES:
        for label, config in _configs(axis, trials).items():
            if (name := named.get((axis, _key(config)))) is not None:
                names[axis][label] = name
    return names


def _given(config: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """(axis, choice without its label) -> label, of the choices of a grid that have one."""
    grid = config.get("grid", {})
    return {
        (axis, _key({key: value for key, value in choice.items() if key != "label"})): choice["label"]
        for block in (*grid.get("include", ()), *grid.get("paired", ()), grid)
        for axis in _AXES
        for choice in block.get(axis, ())
        if isinstance(choice, dict) and "label" in choice
    }


def _configs(axis: str, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """Label of a record, without a control -> the choice in its config."""
    first: dict[str, TrialRecord] = {}
    for trial in trials:
        own = getattr(trial, f"{axis}_label").partition(" ablation=")[0]
        first.setdefault(own, trial)
    return {label: json.loads(trial.config or "{}").get(axis) for label, trial in first.items()}


def _key(choice: Any) -> str:
    return json.dumps(choice, sort_keys=True)
