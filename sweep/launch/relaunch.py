"""Stored trials tried again, told by the store alone: which, and as part of which sweep."""

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
from sweep.launch.run import Plan
from sweep.records import COMPLETED, SweepRecord, TrialRecord, trial_record
from sweep.store import Store
from sweep.text import HIDDEN
from training.data import DataConfig

_PLACES = tuple(field.name for field in fields(DataConfig) if field.metadata.get("identity") is False)
# What --set may change, since no trial becomes another by it
_FREE_SECTIONS, _FREE_KEYS = ("compute", "tracking"), tuple(f"data.{name}" for name in _PLACES)


def choose(
    store: Store, beginnings: Iterable[str], statuses: Collection[str], kinds: Collection[str], force: bool
) -> list[TrialRecord]:
    """The stored trials that are meant.

    Args:
        store: where they are.
        beginnings: of ids, each of one trial.
        statuses: all that ended so.
        kinds: all that failed so, names of :data:`sweep.failures.KINDS`.
        force: completed ones too, where their ids are given.

    Raises:
        InputError: no such trial, several, or a completed one without ``force``.
    """
    records = [trial_record(row) for row in store.trials().to_pylist()]
    chosen = {
        record.trial_id: record
        for record in records
        if record.status != COMPLETED and (record.status in statuses or kind(record).name in kinds)
    }
    for beginning in beginnings:
        matching = [record for record in records if record.trial_id.startswith(beginning)]
        if len(matching) != 1:
            many = f"is the beginning of {len(matching)} trials; give more of it"
            raise InputError(f"trial {beginning!r} {many if matching else f'is not in {store.name}'}")
        if matching[0].status == COMPLETED and not force:
            raise InputError(
                f"trial {matching[0].trial_id} is completed; --force runs it again, and keeps what there is until that"
                " is whole"
            )
        chosen[matching[0].trial_id] = matching[0]
    return list(chosen.values())


def plans(store: Store, records: Sequence[TrialRecord], settings: Sequence[str], force: bool = False) -> list[Plan]:
    """What is to be run: one plan a sweep, recipe and way to its data.

    Args:
        store: where the trials are, and what their sweeps were launched with.
        records: the trials.
        settings: ``KEY=VALUE`` of ``compute``, ``tracking`` or the way to the data.
        force: without their checkpoints.

    Raises:
        InputError: a setting that would make other trials of them, a stored config that cannot be read, or one that
            lacks the secret of its ``tracking.uri``.
    """
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key not in _FREE_KEYS and key.partition(".")[0] not in _FREE_SECTIONS:
            free = ", ".join([*(f"{section}.…" for section in _FREE_SECTIONS), *_FREE_KEYS])
            raise InputError(f"--set {setting}: these trials are what they are; only these can be set: {free}")
    launched = {sweep.name: sweep for sweep in store.sweeps()}
    outcomes = store.outcomes([record.trial_id for record in records])
    groups: dict[tuple[Any, ...], dict[str, TrialConfig]] = {}
    for record in records:
        trial = _stored(store, record)
        groups.setdefault((record.sweep, trial.data, trial.pruning, trial.training), {})[record.trial_id] = trial
    return [
        replace(_plan(store, name, mine, launched.get(name), settings, outcomes), anew=force)
        for (name, *_), mine in groups.items()
    ]


def _stored(store: Store, record: TrialRecord) -> TrialConfig:
    """The trial that a record is of, told by its config."""
    try:
        trial = trial_from(json.loads(record.config))
    except ValueError as error:  # of another version, or with a method or network that is not here
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
    outcomes: dict[str, str],
) -> Plan:
    sweep = _sweep(store, name, list(stored.values()), launched, settings)
    places = {name: getattr(sweep.data, name) for name in _PLACES}
    trials = {each: replace(trial, data=replace(trial.data, **places)) for each, trial in stored.items()}
    return Plan(sweep, trials, dict(trials), outcomes, is_whole=False)


def _sweep(
    store: Store, name: str, trials: Sequence[TrialConfig], launched: SweepRecord | None, settings: Sequence[str]
) -> SweepConfig:
    """The sweep as it was launched, or, in a store of an earlier version, as its trials tell."""
    first = trials[0]
    values = json.loads(launched.config) if launched else {"name": name or "retry"}  # a trial may be of no sweep
    config = first.as_dict()
    values |= {"data": config["data"], "pruning": config["pruning"], "training": config["training"]}
    all_of = [trial.as_dict() for trial in trials]
    names = ("architecture", "method", "sparsity", "seed")
    values["grid"] = {axis: _unique(each[axis] for each in all_of) for axis in names}
    root = override(plain(values, f"sweep {name} as stored"), settings)
    sweep = replace(sweep_from(root, default_name=name), store=store.uri)
    if sweep.tracking.enabled and HIDDEN in (sweep.tracking.uri or ""):
        raise InputError(
            f"sweep {name} was launched with tracking.uri {sweep.tracking.uri}, whose secret the store does not keep:"
            " name it again, with --set tracking.uri=URI"
        )
    return sweep


def _unique(values: Iterable[object]) -> list[object]:
    found: list[object] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def as_before(store: Store, planned: Sequence[Plan]) -> list[str]:
    """Trials whose outcome is the one that they had: completed ones that were run again, and this time did not."""
    return [
        name
        for plan in planned
        for name, outcome in store.outcomes(plan.trials).items()
        if outcome == plan.outcomes.get(name) and outcome.split()[0] == COMPLETED
    ]
