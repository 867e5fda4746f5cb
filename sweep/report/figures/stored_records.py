"""Records of a report's trials that are slow to read: a figure gets those of the few trials that it draws."""

from collections.abc import Callable, Sequence
from functools import cached_property

import pyarrow as pa

from sweep.records import TrialRecord
from sweep.report.figures.stored_masks import highest_first
from sweep.report.trials import Panel
from sweep.store import Store

Read = Callable[[Store, list[str]], pa.Table]
Chosen = Callable[[Panel, float], list[str]]
Sources = Sequence[tuple[Store, Sequence[TrialRecord]]]


class StoredRecords:
    """Records of one kind. Those that all panels draw at their highest sparsity are read at once."""

    def __init__(
        self,
        sources: Sequence[tuple[Store, Sequence[TrialRecord]]],
        panels: Sequence[Panel],
        read: Read,
        chosen: Chosen,
    ):
        """
        Args:
            sources: each store with the trials that are taken from it.
            panels: all of these trials.
            read: the records of some trials of a store.
            chosen: the ids of the trials that a figure draws of a panel at a sparsity.
        """
        self._sources, self._panels, self._reader, self._chosen = sources, panels, read, chosen

    def at(self, panel: Panel, sparsity: float) -> pa.Table:
        """Records of the trials that are drawn of the panel at this sparsity, and of others."""
        wanted = set(self._chosen(panel, sparsity))
        return self._highest if wanted <= self._ids else self._read(wanted)

    @cached_property
    def _ids(self) -> set[str]:
        tops = [(panel, sparsity) for panel in self._panels for sparsity in highest_first(panel)[:1]]
        return {name for panel, sparsity in tops for name in self._chosen(panel, sparsity)}

    @cached_property
    def _highest(self) -> pa.Table:
        return self._read(self._ids)

    def _read(self, wanted: set[str]) -> pa.Table:
        ids = [[trial.trial_id for trial in trials if trial.trial_id in wanted] for _, trials in self._sources]
        stores = [store for store, _ in self._sources]
        return pa.concat_tables(self._reader(store, names) for store, names in zip(stores, ids, strict=True))
