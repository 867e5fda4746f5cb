"""Where the numbers of a page come from: code, machines, data, configs, and what all methods shared."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import yaml

from sweep.records import COMPLETED, SweepRecord, TrialRecord
from sweep.report.trials import Panel
from sweep.text import redacted

_MOST_VALUES = 8  # of one line; the files beside the page have all
_SHARED = {
    "initial_weights_hash": "initial weights",
    "pruning_batches_hash": "pruning batches",
    "training_order_hash": "order of images",
}


@dataclass(frozen=True)
class SweepConfigText:
    """A sweep as it was launched last.

    Attributes:
        launched: when and where.
        config: as YAML.
    """

    name: str
    launched: str
    config: str


def facts(panels: Sequence[Panel], stores: Sequence[str], written: datetime) -> dict[str, str]:
    """Name -> value of what is known about the trials' origin, in order."""
    trials = [trial for panel in panels for trial in panel.trials]
    lines = {
        "store": ", ".join(stores),
        "report written": moment(written),
        "trials written": _period(trial.written for trial in trials),
        "commit": _listed(f"{t.git_commit}{' (dirty)' if t.git_dirty else ''}" for t in trials if t.git_commit),
        "device": _listed(trial.device for trial in trials if trial.device),
        "cluster": _listed(trial.cluster for trial in trials if trial.cluster),
        "host": _listed(trial.host for trial in trials if trial.host),
        "training step": _listed(trial.step for trial in trials if trial.step),
        "versions": _versions(trials),
        "data fingerprint": _listed(f"{t.data} {t.data_fingerprint}" for t in trials if t.data_fingerprint),
        "equal for all methods of a seed": "; ".join(_shared(panels)),
    }
    return {name: text for name, text in lines.items() if text}


def configs(records: Iterable[SweepRecord]) -> list[SweepConfigText]:
    """The config of each sweep, as YAML."""
    return [
        SweepConfigText(
            record.name,
            f"launched {moment(record.launched)}{f' on {record.host}' if record.host else ''}",
            redacted(yaml.safe_dump(json.loads(record.config), sort_keys=False, allow_unicode=True)),
        )
        for record in records
    ]


def moment(time: datetime) -> str:
    """``2026-11-28 06:45 UTC``."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _period(times: Iterable[datetime | None]) -> str:
    known = [time for time in times if time is not None]
    if not known:
        return ""
    first, last = moment(min(known)), moment(max(known))
    return first if first == last else f"{first} to {last}"


def _listed(values: Iterable[str]) -> str:
    different = sorted(set(values))
    more = [f"{len(different) - _MOST_VALUES} more"] if len(different) > _MOST_VALUES else []
    return ", ".join([*different[:_MOST_VALUES], *more])


def _versions(trials: Iterable[TrialRecord]) -> str:
    """Each package with its versions: ``python 3.12.3, torch 2.11 and 2.13``."""
    packages: dict[str, set[str]] = {}
    for text in {trial.versions for trial in trials if trial.versions}:
        for package, version in json.loads(text).items():
            packages.setdefault(package, set()).add(str(version))
    return ", ".join(f"{package} {' and '.join(sorted(versions))}" for package, versions in packages.items())


def _shared(panels: Sequence[Panel]) -> list[str]:
    """Whether all completed trials of one seed in one panel have equal hashes of what methods share."""
    lines = []
    for field, name in _SHARED.items():
        by_seed: dict[tuple[int, int], set[str]] = {}
        for number, panel in enumerate(panels):
            for trial in panel.trials:
                if trial.status == COMPLETED and (hashed := getattr(trial, field)):
                    by_seed.setdefault((number, trial.seed), set()).add(hashed)
        differing = sum(len(hashes) > 1 for hashes in by_seed.values())
        if by_seed:
            lines.append(f"{name}: " + (f"different at {differing} of {len(by_seed)} seeds" if differing else "yes"))
    return lines
