"""Kept weights by layer: read from the stores when a figure first needs them."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from sweep.records import TrialRecord
from sweep.report.cells import Cell, sparsities
from sweep.report.trials import Panel, among
from sweep.store import Store

MASK_COLUMNS = ["trial_id", "tensor", "position", "total", "kept", "effective_kept", "start_kept"]


@dataclass(frozen=True)
class LayerDensity:
    """One masked tensor under one method: what each run kept of it. Densities are fractions.

    Attributes:
        kept: one density a run.
        effective: the same, counting only weights on a path from input to output; of runs where that is known.
        start: one density a run, of the mask that the last training started from, where it is known.
    """

    tensor: str
    kept: tuple[float, ...]
    effective: tuple[float, ...]
    start: tuple[float, ...] = ()

    @property
    def empty(self) -> int:
        """Runs that kept nothing here."""
        return sum(density == 0 for density in self.kept)


def layer_densities(cell: Cell, masks: pa.Table) -> list[LayerDensity]:
    """The layers of one cell in network order, over its completed runs.

    Args:
        cell: one method at one sparsity.
        masks: at least the columns ``MASK_COLUMNS`` of the store's masks.
    """
    rows = among(masks.select(MASK_COLUMNS), [trial.trial_id for trial in cell.completed]).to_pylist()
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["trial_id"]):
        groups.setdefault((row["position"], row["tensor"]), []).append(row)
    columns = ("kept", "effective_kept", "start_kept")
    return [
        LayerDensity(tensor, *(_shares(groups[position, tensor], column) for column in columns))
        for position, tensor in sorted(groups)
    ]


def _shares(rows: Sequence[Mapping[str, Any]], column: str) -> tuple[float, ...]:
    """The column over all weights of the tensor, of the rows that have it."""
    return tuple(row[column] / row["total"] for row in rows if row[column] is not None)


def highest_first(panel: Panel) -> list[float]:
    """The sparsities with a completed run."""
    return sparsities(cell for cell in panel.cells if cell.completed)[::-1]


class StoredMasks:
    """The masks of a report's trials, without their bits.

    Masks at the highest sparsity of every panel are read first: most reports draw no others.
    """

    def __init__(self, sources: Sequence[tuple[Store, Sequence[TrialRecord]]], panels: Sequence[Panel]):
        """
        Args:
            sources: each store with the trials that are taken from it.
            panels: all of these trials.
        """
        self._sources, self._panels = sources, panels

    def at(self, panel: Panel, sparsity: float) -> pa.Table:
        """Masks of the panel's trials at this sparsity, and of other trials; columns :data:`MASK_COLUMNS`."""
        return self._highest if sparsity == highest_first(panel)[0] else self._all

    @cached_property
    def _highest(self) -> pa.Table:
        highest = [(panel, highest_first(panel)[:1]) for panel in self._panels]
        return self._read({trial.trial_id for panel, top in highest for trial in panel.trials if trial.sparsity in top})

    @cached_property
    def _all(self) -> pa.Table:
        return self._read(None)

    def _read(self, only: Container[str] | None) -> pa.Table:
        ids = [[t.trial_id for t in trials if only is None or t.trial_id in only] for _, trials in self._sources]
        stores = [store for store, _ in self._sources]
        return pa.concat_tables(store.masks(names, MASK_COLUMNS) for store, names in zip(stores, ids, strict=True))
