"""What MLflow shows of a trial: pure functions of its records, so that every export of a trial is the same."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sweep.config import SweepConfig, TrialConfig
from sweep.records import COMPLETED, INTERRUPTED, EpochRecord, TrialRecord, numbers
from sweep.text import percent

AXES = ("data", "architecture", "method", "sparsity", "seed")
ALWAYS = ("training.epochs", "training.batch_size", "training.learning_rate")
NO_METRICS = {"sparsity", "seed", "classes", "threads", "git_dirty", "epochs"}  # parameters, steps and provenance
LAYER_COLUMNS = ["tensor", "density", "effective_density"]


OUTCOME = [name for name in numbers(TrialRecord) if name not in {*NO_METRICS, *numbers(EpochRecord)}]


def title(record: TrialRecord) -> str:
    """``resnet50 force 99.5% s0``, as :func:`sweep.grid.title` has it."""
    return f"{record.architecture_label} {record.method_label} {percent(record.sparsity)} s{record.seed}"


def run_status(record: TrialRecord) -> str:
    """MLflow's word for how the trial ended."""
    return {COMPLETED: "FINISHED", INTERRUPTED: "KILLED"}.get(record.status, "FAILED")


def outcome(record: TrialRecord) -> str:
    """Names one outcome of a trial: a second run of it has another."""
    return f"{record.status} {record.started.isoformat() if record.started else '-'}"


def times(record: TrialRecord) -> tuple[int | None, int | None]:
    """Start and end in milliseconds since 1970, as they really were; None where the trial never ran."""
    if record.started is None:
        return None, None
    end = record.started + timedelta(seconds=record.seconds or 0.0)
    return int(record.started.timestamp() * 1000), int(end.timestamp() * 1000)


def tags(record: TrialRecord) -> dict[str, str]:
    """Which trial, which outcome, where from."""
    found = {
        "sweep.kind": "trial",
        "sweep.trial_id": record.trial_id,
        "sweep.name": record.sweep,
        "sweep.cluster": record.cluster,
        "sweep.host": record.host,
        "sweep.commit": record.git_commit,
        "mlflow.source.git.commit": record.git_commit,
        "sweep.status": record.status,
        "sweep.outcome": outcome(record),
        "sweep.error": f"{record.error_type}: {record.error_message}"[:1000] if record.error_type else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def params(record: TrialRecord, differing: Iterable[str]) -> dict[str, str]:
    """The grid's axes, the first questions about training, and the settings named in ``differing``."""
    values = _flat(json.loads(record.config))
    return {name: str(values[name]) for name in (*AXES, *ALWAYS, *differing) if name in values}


def differing(trials: Iterable[TrialConfig]) -> list[str]:
    """Names of the settings that are not the same for all trials."""
    configs = [_flat(trial.identity()) for trial in trials]
    names = dict.fromkeys(name for config in configs for name in config)
    return [name for name in names if len({str(config.get(name)) for config in configs}) > 1]


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
        yield from _each(epoch, "", int(clock * 1000), epoch.epoch, ("trial_id", "epoch"))
    for one in record.rounds:
        yield from _each(one, "round/", end or 0, one.round, ("round",))
    for layer in layers:
        for name in LAYER_COLUMNS[1:]:
            if layer[name] is not None:
                yield f"{name}/{layer['tensor'].removesuffix('.weight')}", layer[name], end or 0, record.epochs
    for name in OUTCOME:
        value = getattr(record, name)
        if value is not None:
            yield name, float(value), end or 0, record.epochs


def _each(record: Any, prefix: str, clock: int, step: int, left_out: Sequence[str]) -> Iterator[Any]:
    for name, value in dataclasses.asdict(record).items():
        if name not in left_out and value is not None:
            yield prefix + name, float(value), clock, step


def config_json(sweep: SweepConfig) -> str:
    """The sweep's config, without the way to MLflow, which may hold a password."""
    config = dataclasses.asdict(sweep)
    for axis in ("architecture", "method"):
        config["grid"][axis] = [choice.as_dict() for choice in getattr(sweep.grid, axis)]
    del config["tracking"]
    return json.dumps(config, indent=2)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"method": {"name": "force", "rounds": 60}}`` -> ``{"method": "force", "method.rounds": 60}``."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = prefix.rstrip(".") if key == "name" and prefix else prefix + key
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat
