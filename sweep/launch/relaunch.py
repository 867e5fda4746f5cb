"""Run stored trials again: which ones, and as part of which sweep. Needs only the store."""

import json
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from sweep.config.config import SweepConfig, sweep_from
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig, trial_from
from sweep.config.yaml_tree import override, plain
from sweep.errors import InputError
from sweep.failures import kind
from sweep.launch.plan import Plan
from sweep.records import COMPLETED, SweepRecord, TrialRecord, trial_record
from sweep.store import OutcomeKey, Store
from sweep.store.lookup import full_id
from sweep.text import HIDDEN
from training.data import DataConfig

_PLACES = tuple(field.name for field in fields(DataConfig) if field.metadata.get("identity") is False)
# What --set may change: it is not part of a trial's identity
_FREE_SECTIONS, _FREE_KEYS = ("compute", "tracking"), tuple(f"data.{name}" for name in _PLACES)


def choose(
    store: Store, beginnings: Iterable[str], statuses: Collection[str], kinds: Collection[str], force: bool
) -> list[TrialRecord]:
    """Records of the stored trials to run again.

    Args:
        store: where they are.
        beginnings: of ids, each of one trial.
        statuses: choose all trials with one of these.
        kinds: choose all trials that failed in one of these ways, names of :data:`sweep.failures.KINDS`.
        force: allow completed trials among ``beginnings``.

    Raises:
        InputError: no trial begins so, or several do, or a completed one without ``force``.
    """
    records = {row["trial_id"]: trial_record(row) for row in store.trials().to_pylist()}
    chosen = {
        name: record
        for name, record in records.items()
        if record.status != COMPLETED and (record.status in statuses or kind(record).name in kinds)
    }
    for beginning in beginnings:
        name = full_id(beginning, records, f"is not in {store.name}")
        if records[name].status == COMPLETED and not force:
            raise InputError(
                f"trial {name} is completed; --force runs it again, and keeps the stored result until the new one is"
                " complete"
            )
        chosen[name] = records[name]
    return list(chosen.values())


def plans(store: Store, records: Sequence[TrialRecord], settings: Sequence[str], force: bool = False) -> list[Plan]:
    """One plan for each sweep, recipe and path of the data.

    Args:
        store: where the trials are, and the configs that their sweeps were launched with.
        records: the trials.
        settings: ``KEY=VALUE`` of ``compute``, ``tracking`` or the path of the data.
        force: start from scratch, without checkpoints.

    Raises:
        InputError: a setting that would change the trials' identity, a stored config that cannot be read, or one
            without the secret of its ``tracking.uri``.
    """
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key not in _FREE_KEYS and key.partition(".")[0] not in _FREE_SECTIONS:
            free = ", ".join([*(f"{section}.…" for section in _FREE_SECTIONS), *_FREE_KEYS])
            raise InputError(
                f"--set {setting}: the trials are stored and keep their config; only these can be set: {free}"
            )
    launched = {sweep.name: sweep for sweep in store.sweeps()}
    outcomes = store.outcomes([record.trial_id for record in records])
    groups: dict[tuple[Any, ...], dict[str, TrialConfig]] = {}
    for record in records:
        trial = _stored(store, record)
        groups.setdefault((record.sweep, trial.data, trial.pruning, trial.training), {})[record.trial_id] = trial
    return [
        replace(_plan(store, name, mine, launched.get(name), settings, outcomes), from_scratch=force)
        for (name, *_), mine in groups.items()
    ]


def _stored(store: Store, record: TrialRecord) -> TrialConfig:
    """The trial of a record, from its stored config."""
    try:
        trial = trial_from(json.loads(record.config))
    except ValueError as error:  # from another version, or its method or network is not here
        raise InputError(f"trial {record.trial_id}: {error}") from None
    if trial_id(trial) != record.trial_id:
        raise InputError(
            f"trial {record.trial_id}: its stored config is another trial's; see sweep verify {shlex.quote(store.name)}"
        )
    return trial


def _plan(
    store: Store,
    name: str,
    stored: Mapping[str, TrialConfig],
    launched: SweepRecord | None,
    settings: Sequence[str],
    outcomes: dict[str, OutcomeKey],
) -> Plan:
    sweep = _sweep(store, name, list(stored.values()), launched, settings)
    places = {name: getattr(sweep.data, name) for name in _PLACES}
    trials = {key: replace(trial, data=replace(trial.data, **places)) for key, trial in stored.items()}
    return Plan(sweep, trials, dict(trials), outcomes, is_whole=False)


def _sweep(
    store: Store, name: str, trials: Sequence[TrialConfig], launched: SweepRecord | None, settings: Sequence[str]
) -> SweepConfig:
    """The sweep as it was launched; in a store of an earlier version, as its trials describe it."""
    first = trials[0]
    values = json.loads(launched.config) if launched else {"name": name or "retry"}  # a trial need not have a sweep
    config = first.as_dict()
    values |= {"data": config["data"], "pruning": config["pruning"], "training": config["training"]}
    configs = [trial.as_dict() for trial in trials]
    names = ("architecture", "method", "sparsity", "seed")
    values["grid"] = {axis: _unique(config[axis] for config in configs) for axis in names}
    root = override(plain(values, f"sweep {name} as stored"), settings)
    sweep = replace(sweep_from(root, default_name=name), store=store.uri)
    if sweep.tracking.enabled and HIDDEN in (sweep.tracking.uri or ""):
        raise InputError(
            f"sweep {name} was launched with tracking.uri {sweep.tracking.uri}, and the store does not keep its secret:"
            " give it again, with --set tracking.uri=URI"
        )
    return sweep


def _unique(values: Iterable[object]) -> list[object]:
    unique: list[object] = []
    for value in values:  # lists and dicts cannot be hashed
        if value not in unique:
            unique.append(value)
    return unique


def as_before(store: Store, planned: Sequence[Plan]) -> list[str]:
    """Ids of completed trials that ran again and did not complete: their stored outcome is still the earlier one."""
    return [
        name
        for plan in planned
        for name, outcome in store.outcomes(plan.trials).items()
        if outcome == plan.outcomes.get(name) and outcome.status == COMPLETED
    ]
