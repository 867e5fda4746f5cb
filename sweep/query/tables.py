"""The tables of one or several stores, each read when it is first used."""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sweep.errors import InputError
from sweep.query.computed import COMPUTED
from sweep.query.sql import run
from sweep.query.views import EPOCHS, LAYERS, MASKS, ROUNDS, TRIALS, VIEWS, View
from sweep.report.trials import among
from sweep.store import Store
from sweep.store.conflicts import Sources
from sweep.store.reader import RANK
from sweep.store.sweeps import COLUMNS, trials_by_sweep

_ORDER = ("data", "architecture_label", "method_label", "sparsity", "seed", "trial_id")  # of the trials' rows


class _Chosen(NamedTuple):
    """The trials that are taken from each store.

    Attributes:
        rows: of every store, their rows.
        sweeps: names of the sweeps of each trial, by its id.
        sources: of all trials, with their other results.
    """

    rows: list[pa.Table]
    sweeps: dict[str, list[str]]
    sources: Sources


def load(*stores: str | os.PathLike[str] | Store, sweep: str | None = None) -> "Tables":
    """The records of one or several stores as Arrow tables, with the columns of docs/tables.md.

        tables = sweep.load("results", sweep="digits")
        trials = tables.trials.to_pandas()

    Args:
        stores: folders or URIs; ``results`` if none is given. A trial that is in two of them is taken from the one
            where it completed; if it completed in both or in none, from the one where it was written last.
        sweep: only the trials of the sweep of this name.

    Raises:
        InputError: a store does not exist, or has no sweep of this name.
        StoreError: a store cannot be reached.
    """
    opened = [store if isinstance(store, Store) else Store(os.fspath(store)) for store in stores or ("results",)]
    for store in opened:
        store.check_exists()
    return Tables(opened, sweep)


class Tables:
    """The records of stores, one Arrow table each; every field's metadata has its meaning.

    A table is read when it is first used, and kept. Files that cannot be read are skipped with a warning.

    Attributes:
        stores: where the records are.
        sweep: the sweep whose trials these are; None for all trials.
    """

    def __init__(self, stores: Sequence[Store], sweep: str | None = None, warn: Callable[[str], None] = warnings.warn):
        """``warn`` is called with a message for every file that cannot be read.

        Raises:
            InputError: the stores have no sweep of this name.
        """
        self.stores, self.sweep = tuple(stores), sweep
        self._warn = warn
        self._warned: set[str] = set()
        if sweep is not None:
            self._chosen(())  # raises where there is no such sweep

    def __repr__(self) -> str:
        return f"<Tables of {', '.join(store.name for store in self.stores)}: {', '.join(VIEWS)}>"

    @cached_property
    def trials(self) -> pa.Table:
        """One row a trial: its config, measurements and provenance; names for people; all sweeps that it belongs to."""
        return self._trials(TRIALS.schema.names)

    @cached_property
    def epochs(self) -> pa.Table:
        """One row a trial and epoch of training."""
        return self._joined(EPOCHS, lambda store, ids: store.epochs(ids))

    @cached_property
    def layers(self) -> pa.Table:
        """One row a trial and masked layer: its size, what was kept, and how much of that lies on a path."""
        return self._joined(LAYERS, lambda store, ids: store.masks(ids, LAYERS.schema.names))

    @cached_property
    def masks(self) -> pa.Table:
        """One row a trial and masked layer: the mask, which :func:`pruning.packing.unpack` decodes."""
        return self._joined(MASKS, lambda store, ids: store.masks(ids, MASKS.schema.names))

    @cached_property
    def rounds(self) -> pa.Table:
        """One row a trial and score→mask pass."""
        tables = self._chosen(["rounds"]).rows
        return pa.concat_tables([ROUNDS.schema.empty_table(), *map(_rounds, tables)])

    def sql(self, query: str) -> pa.Table:
        """The rows of one SELECT over the views trials, epochs, layers, masks and rounds, in DuckDB's SQL.

        Raises:
            InputError: the SQL is wrong, or does more than read; the message says what.
            StoreError: a store cannot be reached.
        """
        return run(query, self._columns)

    def _columns(self, view: str, names: list[str]) -> pa.Table:
        """Some columns of a view. Of trials, no others are read: reading takes time by column."""
        if view == TRIALS.name and view not in self.__dict__:  # where cached_property keeps it
            return self._trials(names)
        return getattr(self, view).select(names)

    def _trials(self, names: list[str]) -> pa.Table:
        stored = [column for name in names for column in (COMPUTED[name].of if name in COMPUTED else (name,))]
        chosen = self._chosen(name for name in stored if name not in ("sweeps", "other_results"))
        rows = pa.concat_tables(chosen.rows)
        rows = rows.sort_by([(name, "ascending") for name in _ORDER if name in rows.column_names])
        computed = {name: COMPUTED[name].column(rows) for name in names if name in COMPUTED}
        if "other_results" in names:
            counts = {trial: len(others) for trial, others in chosen.sources.others.items()}
            computed["other_results"] = [counts.get(trial, 0) for trial in rows["trial_id"].to_pylist()]
        if "sweeps" in names:
            computed["sweeps"] = [chosen.sweeps.get(trial, []) for trial in rows["trial_id"].to_pylist()]
        columns = [computed[name] if name in computed else rows[name] for name in names]
        schema = pa.schema([TRIALS.schema.field(name) for name in names], TRIALS.schema.metadata)
        return pa.table(columns, schema=schema)

    @property
    def _has_all(self) -> bool:
        """Whether no trial of a store is left out."""
        return self.sweep is None and len(self.stores) == 1

    def _chosen(self, columns: Iterable[str]) -> _Chosen:
        """The trials with these stored columns, and those that decide the choice."""
        deciding = [*COLUMNS, *RANK]
        needed = list(dict.fromkeys([*deciding, *columns]))
        rows = [store.trials(columns=needed) for store in self.stores]
        records = [record for store in self.stores for record in store.sweeps()]
        self._tell_damage()
        trials = trials_by_sweep(records, pa.concat_tables(table.select(COLUMNS) for table in rows))
        sweeps: dict[str, list[str]] = {}
        for name in sorted(trials):
            for trial in trials[name]:
                sweeps.setdefault(trial, []).append(name)
        sources = Sources(self.stores, rows)
        return _Chosen(rows if self._has_all else self._taken(rows, sources, trials), sweeps, sources)

    def _taken(self, rows: Sequence[pa.Table], sources: Sources, trials: Mapping[str, Sequence[str]]) -> list[pa.Table]:
        """Of every store's rows, those of trials that are taken from it."""
        if self.sweep is not None and self.sweep not in trials:
            where = ", ".join(store.name for store in self.stores)
            known = f"it holds: {', '.join(sorted(trials))}" if trials else "it holds none"
            raise InputError(f"{where}: no sweep named {self.sweep!r}; {known}")
        source = sources.index
        wanted = set(source if self.sweep is None else trials[self.sweep])
        return [
            among(table, [trial for trial, at in source.items() if at == index and trial in wanted])
            for index, table in enumerate(rows)
        ]

    def _joined(self, view: View, read: Callable[[Store, list[str] | None], pa.Table]) -> pa.Table:
        """The records of the chosen trials of every store."""
        ids: list[list[str] | None] = [None]
        if not self._has_all:
            ids = [rows["trial_id"].to_pylist() for rows in self._chosen(()).rows]
        tables = [read(store, names) for store, names in zip(self.stores, ids, strict=True)]
        self._tell_damage()
        return pa.concat_tables(
            pa.table(table.select(view.schema.names).columns, schema=view.schema) for table in tables
        )

    def _tell_damage(self) -> None:
        for path, reason in {path: why for store in self.stores for path, why in store.damaged.items()}.items():
            if path not in self._warned:
                self._warned.add(path)
                self._warn(f"skipped, cannot read {path}: {reason}")


def _rounds(rows: pa.Table) -> pa.Table:
    """One row a round of the trials."""
    rounds = rows["rounds"].combine_chunks()
    flat = pc.list_flatten(rounds)
    trials = rows["trial_id"].combine_chunks().take(pc.list_parent_indices(rounds))
    columns = [trials, *(pc.struct_field(flat, [name]) for name in ROUNDS.schema.names[1:])]
    return pa.table(columns, schema=ROUNDS.schema)
