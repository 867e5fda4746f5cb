"""The trials of a report: read from stores, each counted once, split into panels of comparable trials."""

import dataclasses
import json
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sweep.config.flatten import flatten
from sweep.config.trial_identity import canonical, hashed, stored_identity
from sweep.errors import InputError
from sweep.records import COMPLETED, SweepRecord, TrialRecord, trial_record
from sweep.report.cells import Cell, in_cells, leaders
from sweep.report.names import architecture_name, data_name, file_name
from sweep.report.reported_trial import ReportedTrial
from sweep.store import Store
from sweep.store.conflicts import Sources
from sweep.store.sweeps import COLUMNS, trials_by_sweep
from sweep.text import number
from training.config import DataConfig

_AXES = ("method", "sparsity", "seed", "ablation")  # not the architecture: its label omits former defaults
_NO_IDENTITY = {f"data.{f.name}" for f in dataclasses.fields(DataConfig) if not f.metadata.get("identity", True)}
_MASK_COLUMNS = ("effective_sparsity", "macs_kept", "empty_layers", "disconnected")
_START_AND_END = (("achieved_sparsity", "final_sparsity"), *((name, f"final_{name}") for name in _MASK_COLUMNS))


@dataclass(frozen=True)
class Panel:
    """All trials of one network on one data set under one recipe: one table and one figure compare them.

    Attributes:
        encoding: "JPEG" where the images are a lossy copy: such trials never share a panel with exact ones.
        architecture: its label.
        setting: how this panel's recipe differs from that of other panels of the same network and data
            ("training.epochs=2"); empty where there are no others.
        train: the fraction of the training images that these trials see.
        planned: ids of the trials that the report's sweeps ask for, if the grid of one is no full product; else none.
    """

    data: str
    encoding: str | None
    architecture: str
    setting: str
    trials: tuple[TrialRecord, ...]
    train: float = 1.0
    planned: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """``CIFAR-10 (JPEG), ResNet-20``; ``10 % of CIFAR-10, ResNet-20``."""
        title = f"{data_name(self.data, self.encoding, self.train)}, {architecture_name(self.architecture)}"
        return f"{title}, {self.setting}" if self.setting else title

    @property
    def file_name(self) -> str:
        """``cifar10-jpeg-resnet20``."""
        encoding = "jpeg" if self.encoding == "JPEG" else ""
        train = "" if self.train == 1 else f"train{number(self.train)}"
        return file_name(self.data, encoding, train, self.architecture, self.setting)

    @property
    def classes(self) -> int | None:
        """Number of classes; None where every trial ended before it read the data."""
        return next((trial.classes for trial in self.trials if trial.classes), None)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Trials by method (dense and controls first) and sparsity; computed once for all tables and figures."""
        return tuple(in_cells(self.trials))

    @cached_property
    def leading(self) -> frozenset[tuple[str, float]]:
        """Keys of the best cells of every sparsity (:func:`sweep.report.cells.best`)."""
        return frozenset(cell.key for cell in leaders(self.cells))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of any trial of the panel."""
        return tuple(sorted({trial.seed for trial in self.trials}))

    def missing(self, cell: Cell) -> tuple[int, ...]:
        """Seeds that other cells have a trial of, of any status, and this one has not, if its grid has them."""
        own = {trial.seed: trial for trial in cell.trials}
        seeds = tuple(seed for seed in self.seeds if seed not in own)
        first = cell.trials[0]
        if not seeds or first.trial_id not in self.planned:
            return seeds
        identity = stored_identity(json.loads(first.config or "{}"))
        return tuple(seed for seed in seeds if hashed(canonical(identity | {"seed": seed})) in self.planned)

    @property
    def masks_moved(self) -> bool:
        """Whether the tested network of some trial has another mask than its last training started from."""
        return any(_has_moved(trial) for cell in self.cells for trial in cell.completed)

    @property
    def epochs(self) -> int | None:
        """Epochs of one training (a method may train more than once). None where no config has them."""
        asked = (json.loads(trial.config or "{}").get("training", {}).get("epochs") for trial in self.trials)
        return next((epochs for epochs in asked if epochs is not None), None)


def read(
    stores: Sequence[Store],
    sweep: str | None = None,
    only: Collection[str] | None = None,
    tables: Sequence[pa.Table] | None = None,
    *,
    require_completed: bool = True,
) -> list[tuple[Store, list[TrialRecord]]]:
    """Each store with the trials taken from it: every trial once, without its rounds.

    A trial that is in two stores is taken from the one where it completed; if it completed in both or in none, from
    the one where it was written last. Of one with several results the record has the others.

    Args:
        stores: all that may hold trials.
        sweep: only the trials of this sweep, as :mod:`sweep.store.sweeps` defines them.
        only: only these trial ids, instead.
        tables: the stores' trials, where they have been read already.
        require_completed: whether no completed trial is an error.

    Raises:
        InputError: no completed trial among them, or no store knows the sweep; the message says what to run.
    """
    rows = [store.trials() for store in stores] if tables is None else tables
    known: dict[str, tuple[str, ...]] = {}  # trial ids by sweep
    if sweep is not None and only is None and rows:
        records = [record for store in stores for record in store.sweeps()]
        known = trials_by_sweep(records, pa.concat_tables(table.select(COLUMNS) for table in rows))
        only = known.get(sweep, ())
    kept = sorted(_taken(Sources(stores, rows), rows, only), key=lambda entry: entry[1].trial_id)
    is_known = sweep is None or sweep in known or bool(kept)
    if (require_completed or not is_known) and not any(record.status == COMPLETED for _, record in kept):
        raise InputError(_nothing_to_report(stores, sweep, list(known), [record for _, record in kept]))
    return [(store, [record for index, record in kept if index == at]) for at, store in enumerate(stores)]


class StoredRows:
    """The stored rows of a report's trials, each trial once: for columns that are slow to convert to records."""

    def __init__(self, tables: Sequence[pa.Table], sources: Sequence[tuple[Store, Sequence[TrialRecord]]]):
        """``sources``: what :func:`read` chose of the tables."""
        chosen = [[trial.trial_id for trial in trials] for _, trials in sources]
        self._rows = pa.concat_tables(among(rows, ids) for rows, ids in zip(tables, chosen, strict=True))
        self._indices = {name: index for index, name in enumerate(self._rows["trial_id"].to_pylist())}

    def of(self, trials: Iterable[TrialRecord], columns: Sequence[str]) -> pa.Table:
        """Some columns of these trials, one row a trial, in their order."""
        indices = [self._indices[trial.trial_id] for trial in trials]
        return self._rows.select(columns).take(pa.array(indices, pa.int64()))


def _taken(
    sources: Sources, tables: Sequence[pa.Table], only: Collection[str] | None
) -> Iterator[tuple[int, TrialRecord]]:
    """Each trial once: the index of the store that it is taken from, and its record without rounds."""
    for index, rows in enumerate(tables):
        for record in from_table(rows if only is None else among(rows, only), rounds=False):
            if sources.index[record.trial_id] == index:
                others = sources.others.get(record.trial_id)
                rows_of_others = tuple(other.row for other in others or ())
                yield index, ReportedTrial(**vars(record), other_results=rows_of_others) if others else record


def from_table(trials: pa.Table, rounds: bool = True) -> list[TrialRecord]:
    """The rows of a store's trials table as records.

    Args:
        trials: the table, or some of its columns.
        rounds: include the rounds; a trial may have hundreds, and they take longer than everything else.
    """
    if rounds and "rounds" in trials.column_names:
        return [trial_record(row) for row in trials.to_pylist()]
    plain = [name for name in trials.column_names if name != "rounds"]
    return [TrialRecord(**row) for row in trials.select(plain).to_pylist()]


def among(rows: pa.Table, trial_ids: Iterable[str]) -> pa.Table:
    """The rows of some trials."""
    return rows.filter(pc.is_in(rows["trial_id"], pa.array(list(trial_ids), pa.string())))


def planned_trials(sweeps: Iterable[SweepRecord]) -> frozenset[str]:
    """Ids of the trials that sweeps ask for, if the grid of one leaves combinations out or adds some; else none."""
    sweeps = list(sweeps)
    keys = {"paired", "exclude", "include"}
    if not any(keys & json.loads(sweep.config).get("grid", {}).keys() for sweep in sweeps):
        return frozenset()
    return frozenset(trial for sweep in sweeps for trial in sweep.trials)


def panels(records: Iterable[TrialRecord], planned: frozenset[str] = frozenset()) -> list[Panel]:
    """Split trials into panels, in order of data, encoding, fraction of the data, architecture and setting.

    Args:
        records: the trials.
        planned: see :attr:`Panel.planned`.
    """
    records = list(records)
    encodings = {record.data: record.data_encoding for record in records if record.data_encoding}
    groups: dict[tuple[str, str, float, str], list[TrialRecord]] = {}
    for record in records:  # a trial that failed before it read an image joins the others of its data set
        encoding = record.data_encoding or encodings.get(record.data) or ""
        key = record.data, encoding, _train(record), record.architecture_label
        groups.setdefault(key, []).append(record)
    return [
        Panel(data, encoding or None, architecture, setting, tuple(sorted(members, key=_by_seed)), train, planned)
        for (data, encoding, train, architecture), group in sorted(groups.items(), key=_whole_first)
        for setting, members in sorted(_by_setting(group).items())
    ]


def _train(record: TrialRecord) -> float:
    """The fraction of the training images that a trial sees; configs without it have all."""
    config = record.config or ""
    return float(json.loads(config).get("data", {}).get("train", 1.0)) if '"train":' in config else 1.0


def _whole_first(group: tuple[tuple[str, str, float, str], Any]) -> tuple[str, str, float, str]:
    (data, encoding, train, architecture), _ = group
    return data, encoding, -train, architecture


def _by_seed(record: TrialRecord) -> tuple[int, str]:
    return record.seed, record.trial_id


def _by_setting(records: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Group by recipe (the config without the axes): runs under different recipes are never averaged."""
    texts = [_recipe(record) for record in records]
    flat = {text: _flat(text) for text in dict.fromkeys(texts)}
    keys = sorted({key for recipe in flat.values() for key in recipe})
    differing = [key for key in keys if len({recipe.get(key) for recipe in flat.values()}) > 1]
    settings = {
        text: ", ".join(f"{key}={recipe[key]}" for key in differing if key in recipe) for text, recipe in flat.items()
    }
    groups: dict[str, list[TrialRecord]] = {}
    for record, text in zip(records, texts, strict=True):
        groups.setdefault(settings[text], []).append(record)
    return groups


def _recipe(record: TrialRecord) -> str:
    """The config without a panel's axes, as JSON; thousands of trials share a few recipes."""
    config = json.loads(record.config or "{}")
    return json.dumps({key: value for key, value in config.items() if key not in _AXES})


def _flat(recipe: str) -> dict[str, str]:
    """Dotted key -> value as text, without where the data is stored."""
    return {key: value for key, value in leaves(json.loads(recipe)) if key not in _NO_IDENTITY}


def leaves(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Dotted key and value, as text, of every entry of a nested config."""
    for key, value in flatten(config).items():
        yield key, value if isinstance(value, str) else json.dumps(value)


def _has_moved(trial: TrialRecord) -> bool:
    values = [(getattr(trial, start), getattr(trial, end)) for start, end in _START_AND_END]
    return any(end is not None and start != end for start, end in values)


def _nothing_to_report(
    stores: Sequence[Store], sweep: str | None, known: Sequence[str], kept: Sequence[TrialRecord]
) -> str:
    where = ", ".join(store.name for store in stores) or "no store"
    if kept:
        counts = {status: sum(r.status == status for r in kept) for status in sorted({r.status for r in kept})}
        states = ", ".join(f"{count} {status}" for status, count in counts.items())
        why = " and ".join(shlex.join(["sweep", "status", "--store", store.name]) for store in stores)
        return f"{where}: no completed trial to report ({states}); see why with: {why}"
    if sweep is not None and known and sweep not in known:
        return f"{where}: no trial of a sweep named {sweep!r}; it holds: {', '.join(sorted(known))}"
    return f"{where}: no trial to report; run some first: sweep launch CONFIG"
