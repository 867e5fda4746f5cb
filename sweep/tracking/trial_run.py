"""Content of a trial's run: pure functions of its records, so that every export of a trial is the same.

Configs are plain values, as they are stored: nothing that they name is imported.
"""

import csv
import dataclasses
import functools
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sweep.config.flatten import flatten
from sweep.config.trial_identity import canonical, stored_identity
from sweep.records import COMPLETED, INTERRUPTED, EpochRecord, TrialRecord, numbers
from sweep.text import redacted
from sweep.tracking import mlflow_run

AXES = ("data", "architecture", "method", "sparsity", "seed")
ABLATION, NO_ABLATION = "ablation", "none"  # configs leave it out where there is none
ALWAYS = ("training.epochs", "training.batch_size", "training.learning_rate", "training.weight_decay")
SETTINGS = "pruning."  # begins the settings that are parameters of every trial, however many there are
NO_METRICS = {"sparsity", "seed", "classes", "threads", "git_dirty", "epochs"}  # parameters, steps and provenance
LAYERS = "layers.csv"  # the file of a run with a row a masked tensor, of these columns in the store's order:
LAYER_COLUMNS = ["tensor", "shape", "total", "kept", "density", "effective_kept", "effective_density"]
OUTCOME_COLUMNS = ["trial_id", "status", "outcome", "started"]  # of the store: they identify an outcome

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
        mlflow_run.KIND: "trial",
        mlflow_run.TRIAL: record.trial_id,
        "sweep.name": record.sweep,
        mlflow_run.CLUSTER: record.cluster,
        "sweep.host": record.host,
        "sweep.commit": record.git_commit,
        "mlflow.source.git.commit": record.git_commit,
        "sweep.status": record.status,
        mlflow_run.OUTCOME: outcome(vars(record)),
        "sweep.error": f"{record.error_type}: {record.error_message}"[:1000] if record.error_type else None,
        mlflow_run.COLOUR: colour(record.method),
    }
    return {name: redacted(value) for name, value in values.items() if value is not None}


def other_results(rows: Iterable[Mapping[str, Any]]) -> str:
    """The tag that names a trial's other results: ``90.30% on cluster-one, outcome 034deb17``; empty without any."""
    places = ((row, row["cluster"] or row["host"] or "-") for row in rows)
    return "; ".join(
        f"{100 * (row['test_accuracy'] or 0.0):.2f}% on {place}, outcome {row['outcome']}" for row, place in places
    )


def params(config: Config, differing: Iterable[str]) -> dict[str, str]:
    """The grid's axes, the settings of scoring, the main ones of training, and those named in ``differing``."""
    values = {ABLATION: NO_ABLATION} | _flat(config)
    settings = [name for name in values if name.startswith(SETTINGS)]
    names = (*AXES, ABLATION, *ALWAYS, *settings, *differing)
    return {name: redacted(str(values[name])) for name in names if name in values}


def differing(configs: Iterable[Config]) -> list[str]:
    """Names of the settings that are not the same for all of these trials."""
    settings = [{name: canonical(value) for name, value in _flat(_identity(config)).items()} for config in configs]
    names = dict.fromkeys(name for values in settings for name in values)
    return [name for name in names if len({values.get(name) for values in settings}) > 1]


def metrics(record: TrialRecord, epochs: Sequence[EpochRecord]) -> Iterator[tuple[str, float, int, int]]:
    """Name, value, time (ms since 1970) and step: of epochs (finished, in order), of rounds, and of the outcome."""
    start, end = times(record)
    clock = (start or 0) / 1000 + (record.prune_seconds or 0.0)
    for epoch in epochs:
        clock += epoch.epoch_seconds
        yield from _fields(epoch, "", int(clock * 1000), epoch.epoch, ("trial_id", "epoch"))
    for round_record in record.rounds:
        yield from _fields(round_record, "round/", end or 0, round_record.round, ("round",))
    for name in OUTCOME:
        value = getattr(record, name)
        if value is not None:
            yield name, float(value), end or 0, record.epochs


def layers_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The masked tensors of a trial as a table, from rows with the columns :data:`LAYER_COLUMNS`."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["layer", *LAYER_COLUMNS[1:]])
    for row in rows:
        values = {**row, "shape": "x".join(map(str, row["shape"])), "tensor": row["tensor"].removesuffix(".weight")}
        table.writerow([values[name] for name in LAYER_COLUMNS])
    return file.getvalue().encode()


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


def _identity(config: Config) -> Config:
    try:
        return stored_identity(config)
    except KeyError:  # stored by a version with other fields: compare all of them
        return config


@functools.cache
def colour(method: str) -> str | None:
    """The colour of a shipped method's runs in MLflow's lists and charts; None of others: MLflow chooses one."""
    if ":" in method:
        return None
    from pruning import registry  # imports torch

    try:
        return registry.find(method).colour or None
    except ValueError:
        return None


def _flat(config: Config) -> dict[str, Any]:
    """``{"method": {"name": "force", "rounds": 60}}`` -> ``{"method": "force", "method.rounds": 60}``."""
    return {key.removesuffix(".name"): value for key, value in flatten(config).items()}
