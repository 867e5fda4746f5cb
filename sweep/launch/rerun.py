"""Rerun: run one trial in this process, a new one of a sweep or a stored one."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from rich.console import Console

from pruning.masks import digest
from pruning.packing import unpack
from sweep.config.compute import Compute
from sweep.config.config import SweepConfig
from sweep.config.grid import title, trial_id
from sweep.config.trial_config import TrialConfig, trial_from
from sweep.errors import InputError
from sweep.launch.plan import plan
from sweep.launch.preflight import data_errors
from sweep.records import ADDED_LATER, CIRCUMSTANCES, COMPLETED, INTERRUPTED, EpochRecord, Outcome, TrialRecord
from sweep.store import Store
from sweep.store.claims import Claims
from sweep.store.leases import Leases
from sweep.store.lookup import full_id
from sweep.text import store_option
from sweep.trial.run import load_data, run_trial
from sweep.trial.settings import RunSettings
from training import allocator

Fields = Mapping[str, Any]


def run_one(sweep: SweepConfig, beginning: str, device: str, keep: bool, console: Console) -> int:
    """Run one trial of the sweep here and print its epochs; store it only if ``keep``. Returns the exit code.

    Raises:
        InputError: no such trial, or ``keep`` and it is completed or runs in another launch.
    """
    store = Store(sweep.store)
    planned = plan(sweep, store)
    name = full_id(beginning, planned.trials, "is not in this sweep; see sweep plan")
    if keep and name not in planned.todo:
        raise InputError(f"trial {name} is completed in {store.name}: run it without --keep, or name another store")
    trial, settings = planned.trials[name], RunSettings.of(sweep, device)
    if not keep:
        return _exit_code(_run_here(trial, settings, console).trial)
    with Leases(store.files).held() as leases:
        claims = Claims(store, leases, planned.outcomes)
        if not claims.take(name):
            see = f"sweep status{store_option(store.name)}"
            raise InputError(f"trial {name} is running in another launch: see {see}, or run it without --keep")
        outcome = _run_here(trial, settings, console, checkpoints=claims)
        claims.write(outcome)
    return _exit_code(outcome.trial)


@dataclass(frozen=True)
class Comparison:
    """One field of a stored trial beside that of its rerun."""

    field: str
    stored: Any
    again: Any

    @property
    def agrees(self) -> bool:
        """Whether both are the same, to the last bit."""
        if isinstance(self.stored, float) and isinstance(self.again, float):
            return self.stored == self.again or (math.isnan(self.stored) and math.isnan(self.again))
        return bool(self.stored == self.again)


def rerun(store: Store, record: TrialRecord, device: str, console: Console) -> list[Comparison]:
    """Run a stored trial again from its stored config, store nothing, and compare all fields, epochs and masks.

    It imports the methods and networks of your own that the config names.
    """
    trial = trial_from(json.loads(record.config))
    compacted = record.trained_weights is not None and record.trained_weights < (record.prunable or 0)
    keep: Literal["none", "final"] = "final" if record.kept_weights_hash else "none"
    compute = Compute(cpus_per_trial=record.threads or 1, compact=compacted, keep_weights=keep)
    settings = RunSettings(device, record.sweep, compute)
    again = _run_here(trial, settings, console, accumulate=record.accumulate)
    if again.trial.status == INTERRUPTED:
        raise KeyboardInterrupt
    for name in ("device", "versions"):
        if getattr(record, name) != getattr(again.trial, name):
            console.print(f"its {name} was {getattr(record, name)}: the last bits may differ", markup=False)
    epochs, masks = store.epochs([record.trial_id]).to_pylist(), store.masks([record.trial_id]).to_pylist()
    pairs = [
        ("", vars(record), vars(again.trial)),
        *_pairs(
            "epoch {}: ", {row["epoch"]: row for row in epochs}, {epoch.epoch: vars(epoch) for epoch in again.epochs}
        ),
        *_pairs("mask of {}: ", _masks(masks), _masks(vars(mask) for mask in again.masks)),
    ]
    comparisons = [field for prefix, stored, new in pairs for field in _compare(prefix, stored, new)]
    is_older = record.written is None  # such records lack all fields that came later
    return [field for field in comparisons if field.stored is not None or not (is_older or field.field in ADDED_LATER)]


def _pairs(prefix: str, stored: dict[Any, Fields], again: dict[Any, Fields]) -> Iterator[tuple[str, Fields, Fields]]:
    for key in {**stored, **again}:
        yield prefix.format(key), stored.get(key, {}), again.get(key, {})


def _compare(prefix: str, stored: Fields, again: Fields) -> Iterator[Comparison]:
    for name in {**stored, **again}:
        if name not in CIRCUMSTANCES:
            yield Comparison(prefix + name, stored.get(name), again.get(name))


def _masks(rows: Iterable[Fields]) -> dict[Any, Fields]:
    """Masks by tensor, with a hash of their bits: two encodings of the same bits compare equal."""
    return {row["tensor"]: {**row, "shape": tuple(row["shape"]), "bits": _bits(row)} for row in rows}


def _bits(row: Fields) -> str:
    try:
        return digest(unpack(row["encoding"], row["packed"], row["shape"]))
    except ValueError as error:
        return f"cannot be read: {error}"


def _run_here(
    trial: TrialConfig,
    settings: RunSettings,
    console: Console,
    *,
    checkpoints: Claims | None = None,
    accumulate: int | None = None,
) -> Outcome:
    device = settings.device
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise InputError(f"--device {device}: cpu, cuda or cuda:N")
    if device != "cpu" and not torch.cuda.is_available():
        raise InputError(f"--device {device}: this machine has no GPU; --device cpu does without")
    torch.set_num_threads(settings.compute.cpus_per_trial)  # results on a CPU depend on how sums are split
    allocator.keep_freed_memory()
    with data_errors():
        dataset = load_data(trial)
    console.print(f"{trial_id(trial)} {title(trial)} on {device}", soft_wrap=True, markup=False)
    with console.status("starting") as status:  # shows nothing where the console is no terminal
        outcome = run_trial(
            trial,
            dataset,
            settings,
            on_epoch=lambda epoch: console.print(_epoch_line(epoch)),
            on_stage=lambda stage: status.update(str(stage)),
            checkpoints=checkpoints,
            accumulate=accumulate,
        )
    record = outcome.trial
    if record.status == COMPLETED:
        accuracy = 100 * (record.test_accuracy or 0)
        console.print(f"test accuracy {accuracy:.2f} %, kept {record.kept:,} of {record.prunable:,}")
    else:
        console.print(record.traceback or record.status, markup=False)
    return outcome


def _exit_code(record: TrialRecord) -> int:
    return {COMPLETED: 0, INTERRUPTED: 130}.get(record.status, 1)


def _epoch_line(record: EpochRecord) -> str:
    validation = "" if record.validation_accuracy is None else f", validation {100 * record.validation_accuracy:.2f} %"
    return f"epoch {record.epoch}: loss {record.train_loss:.4f}, train {100 * record.train_accuracy:.2f} %{validation}"
