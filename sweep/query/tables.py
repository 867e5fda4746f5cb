"""The tables of one or several stores, each read when it is first used."""

import os
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from sweep.errors import InputError
from sweep.query.views import EPOCHS, LAYERS, MASKS, ROUNDS, TRIALS, View
from sweep.report.cells import chance_limit
from sweep.report.names import architecture_name, data_name, method_name
from sweep.report.trials import among, sources
from sweep.store import Store
from sweep.store.sweeps import COLUMNS, trials_by_sweep

_ORDER = ("data", "architecture_label", "method_label", "sparsity", "seed", "trial_id")  # of the trials' rows


def load(*stores: str | os.PathLike[str] | Store, sweep: str | None = None) -> "Tables":
    """The records of one or several stores as Arrow tables, with the columns of docs/tables.md.

        tables = sweep.load("results", sweep="digits")
        trials = tables.trials.to_pandas()

    Args:
        stores: folders or URIs; ``results`` if none is given. A trial that is in two of them is taken from the one
            where it completed; if it completed in both or in none, from the one where it was started last.
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
        self._sweeps: dict[str, list[str]] = {}  # names by trial id
        self._rows = self._read_rows()  # of each store's trials that are taken from it

    def __repr__(self) -> str:
        where = ", ".join(store.name for store in self.stores)
        return f"<Tables of {sum(map(len, self._rows))} trials in {where}: trials, epochs, layers, masks, rounds>"

    @cached_property
    def trials(self) -> pa.Table:
        """One row a trial: its config, measurements and provenance; names for people; all sweeps that it belongs to."""
        rows = pa.concat_tables(self._rows)
        rows = rows.sort_by([(name, "ascending") for name in _ORDER])
        computed = {
            "sweeps": [self._sweeps.get(trial, []) for trial in rows["trial_id"].to_pylist()],
            "data_name": _each(data_name, rows, "data", "data_encoding"),
            "architecture_name": _each(architecture_name, rows, "architecture_label"),
            "method_name": _each(method_name, rows, "method_label"),
            "at_chance": _each(_is_at_chance, rows, "test_accuracy", "classes"),
        }
        columns = [computed[name] if name in computed else rows[name] for name in TRIALS.schema.names]
        return pa.table(columns, schema=TRIALS.schema)

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
        return pa.concat_tables([ROUNDS.schema.empty_table(), *(_rounds(rows) for rows in self._rows)])

    def _read_rows(self) -> list[pa.Table]:
        rows = [store.trials() for store in self.stores]
        trials = self._trials_by_sweep(rows)
        if self.sweep is None and len(rows) == 1:
            return rows
        source = sources(rows)
        wanted = set(source if self.sweep is None else trials[self.sweep])
        return [
            among(table, [trial for trial, at in source.items() if at == index and trial in wanted])
            for index, table in enumerate(rows)
        ]

    def _trials_by_sweep(self, rows: Sequence[pa.Table]) -> dict[str, tuple[str, ...]]:
        records = [record for store in self.stores for record in store.sweeps()]
        self._tell_damage()
        trials = trials_by_sweep(records, pa.concat_tables(table.select(COLUMNS) for table in rows))
        if self.sweep is not None and self.sweep not in trials:
            where = ", ".join(store.name for store in self.stores)
            known = f"it holds: {', '.join(sorted(trials))}" if trials else "it holds none"
            raise InputError(f"{where}: no sweep named {self.sweep!r}; {known}")
        for name in sorted(trials):
            for trial in trials[name]:
                self._sweeps.setdefault(trial, []).append(name)
        return trials

    def _joined(self, view: View, read: Callable[[Store, list[str] | None], pa.Table]) -> pa.Table:
        """The records of the chosen trials of every store."""
        is_all = self.sweep is None and len(self.stores) == 1
        tables = [
            read(store, None if is_all else rows["trial_id"].to_pylist())
            for store, rows in zip(self.stores, self._rows, strict=True)
        ]
        self._tell_damage()
        return pa.concat_tables(
            pa.table(table.select(view.schema.names).columns, schema=view.schema) for table in tables
        )

    def _tell_damage(self) -> None:
        for path, reason in {path: why for store in self.stores for path, why in store.damaged.items()}.items():
            if path not in self._warned:
                self._warned.add(path)
                self._warn(f"skipped, cannot read {path}: {reason}")


def _each(function: Callable[..., object], rows: pa.Table, *columns: str) -> list[object]:
    """The function of every row's values; computed once for equal values."""
    values = list(zip(*(rows[name].to_pylist() for name in columns), strict=True))
    results = {distinct: function(*distinct) for distinct in set(values)}
    return [results[value] for value in values]


def _is_at_chance(accuracy: float | None, classes: int | None) -> bool | None:
    return None if accuracy is None or not classes else accuracy <= chance_limit(classes)


def _rounds(rows: pa.Table) -> pa.Table:
    """One row a round of the trials."""
    rounds = rows["rounds"].combine_chunks()
    fields = pc.struct_field
    flat = pc.list_flatten(rounds)
    columns = [rows["trial_id"].combine_chunks().take(pc.list_parent_indices(rounds))]
    columns += [fields(flat, [name]) for name in ROUNDS.schema.names[1:]]
    return pa.table(columns, schema=ROUNDS.schema)
