"""Content of a trial's run: pure functions of its records, so that every export of a trial is the same.

Configs are plain values, as they are stored: nothing that they name is imported.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sweep.config.flatten import flatten
from sweep.config.trial_config import canonical, stored_identity
from sweep.records import COMPLETED, INTERRUPTED, EpochRecord, TrialRecord, numbers
from sweep.text import redacted

AXES = ("data", "architecture", "method", "sparsity", "seed")
ALWAYS = ("training.epochs", "training.batch_size", "training.learning_rate")
NO_METRICS = {"sparsity", "seed", "classes", "threads", "git_dirty", "epochs"}  # parameters, steps and provenance
LAYER_COLUMNS = ["tensor", "density", "effective_density"]
OUTCOME_COLUMNS = ["trial_id", "status", "outcome", "started"]  # of the store's rows: they identify an outcome

Config = Mapping[str, Any]

OUTCOME = [name for name in numbers(TrialRecord) if name not in {*NO_METRICS, *numbers(EpochRecord)}]


def run_status(record: TrialRecord) -> str:
    """MLflow's status for how the trial ended."""
    return {COMPLETED: "FINISHED", INTERRUPTED: "KILLED"}.get(record.status, "FAILED")


def outcome(row: Mapping[str, Any]) -> str:
    """The name of one outcome, from its :data:`OUTCOME_COLUMNS`; the trial run again has another."""
    began = row["started"].isoformat() if row["started"] else "-"
    return f"{row['status']} {row['outcome'] or began}"  # outcomes of earlier versions have no name


def times(record: TrialRecord) -> tuple[int | None, int | None]:
    """Start and end of the trial in milliseconds since 1970; None where it never ran."""
    if record.started is None:
        return None, None
    end = record.started + timedelta(seconds=record.seconds or 0.0)
    return int(record.started.timestamp() * 1000), int(end.timestamp() * 1000)


def tags(record: TrialRecord) -> dict[str, str]:
    """Trial, outcome and origin."""
    values = {
        "sweep.kind": "trial",
        "sweep.trial_id": record.trial_id,
        "sweep.name": record.sweep,
        "sweep.cluster": record.cluster,
        "sweep.host": record.host,
        "sweep.commit": record.git_commit,
        "mlflow.source.git.commit": record.git_commit,
        "sweep.status": record.status,
        "sweep.outcome": outcome(vars(record)),
        "sweep.error": f"{record.error_type}: {record.error_message}"[:1000] if record.error_type else None,
    }
    return {name: redacted(value) for name, value in values.items() if value is not None}


def params(config: Config, differing: Iterable[str]) -> dict[str, str]:
    """The grid's axes, the main training settings, and the settings named in ``differing``."""
    values = _flat(config)
    return {name: redacted(str(values[name])) for name in (*AXES, *ALWAYS, *differing) if name in values}


def differing(configs: Iterable[Config]) -> list[str]:
    """Names of the settings that are not the same for all of these trials."""
    settings = [{name: canonical(value) for name, value in _flat(_identity(config)).items()} for config in configs]
    names = dict.fromkeys(name for values in settings for name in values)
    return [name for name in names if len({values.get(name) for values in settings}) > 1]


def metrics(
    record: TrialRecord, epochs: Sequence[EpochRecord], layers: Iterable[Mapping[str, Any]] = ()
) -> Iterator[tuple[str, float, int, int]]:
    """Name, value, time (ms since 1970) and step: of epochs (finished), rounds, layers, and the outcome's.

    Args:
        record: the outcome.
        epochs: in order.
        layers: rows with the columns :data:`LAYER_COLUMNS`.
    """
    start, end = times(record)
    clock = (start or 0) / 1000 + (record.prune_seconds or 0.0)
    for epoch in epochs:
        clock += epoch.epoch_seconds
        yield from _fields(epoch, "", int(clock * 1000), epoch.epoch, ("trial_id", "epoch"))
    for round_record in record.rounds:
        yield from _fields(round_record, "round/", end or 0, round_record.round, ("round",))
    for layer in layers:
        for name in LAYER_COLUMNS[1:]:
            if layer[name] is not None:
                yield f"{name}/{_metric_name(layer['tensor'])}", layer[name], end or 0, record.epochs
    for name in OUTCOME:
        value = getattr(record, name)
        if value is not None:
            yield name, float(value), end or 0, record.epochs


def _fields(record: Any, prefix: str, clock: int, step: int, left_out: Sequence[str]) -> Iterator[Any]:
    for name, value in dataclasses.asdict(record).items():
        if name not in left_out and value is not None:
            yield prefix + name, float(value), clock, step


def config_json(config: Config) -> str:
    """A sweep's config for people, without secrets."""
    return json.dumps(_without_secrets(config), indent=2)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return redacted(value) if isinstance(value, str) else value


def _metric_name(tensor: str) -> str:
    """The tensor's name without characters that MLflow refuses: modules in a ModuleDict may have any name."""
    return re.sub(r"[^\w./ -]", "_", tensor.removesuffix(".weight"))[:200]


def _identity(config: Config) -> Config:
    try:
        return stored_identity(config)
    except KeyError:  # stored by a version with other fields: compare all of them
        return config


def _flat(config: Config) -> dict[str, Any]:
    """``{"method": {"name": "force", "rounds": 60}}`` -> ``{"method": "force", "method.rounds": 60}``."""
    return {key.removesuffix(".name"): value for key, value in flatten(config).items()}
