"""Conflicts: trials that completed with different results, in one store or in several.

Of all outcomes of a trial, in whichever stores, the one counts that :func:`sweep.store.reader.indices_that_count`
chooses: completed before others, then written last. Merging, reports and exports of several stores follow this rule, so
that they agree. Outcomes with the same result are one row: the one written last. Of every other result one outcome is
kept in the store's folder ``conflicts/``, which is a store of its own; it counts only beside a completed outcome.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from sweep.records import COMPLETED, OUTCOME
from sweep.store.layout import Key
from sweep.store.reader import RANK, indices_that_count
from sweep.store.same_result import Row, result_of_epochs, result_of_row
from sweep.store.store import Store


@dataclass(frozen=True, eq=False)
class StoredOutcome:
    """One outcome of a trial in one store.

    Attributes:
        row: the trial's row.
        place: the store that holds its files; ``conflicts`` of a store for an outcome that does not count there.
    """

    row: Row
    place: Store

    @property
    def trial_id(self) -> str:
        """The trial."""
        return str(self.row["trial_id"])

    @property
    def stored_key(self) -> Key:
        """The key that its files have in its place."""
        return self.trial_id, self.row[OUTCOME]

    @cached_property
    def key(self) -> Key:
        """The key by which it is told from others; outcomes of earlier versions, which have no id, get one."""
        return self.trial_id, self.row[OUTCOME] or _derived(self.row)

    @cached_property
    def row_result(self) -> str:
        """A hash of its result as far as its row holds it."""
        return result_of_row(self.row)

    @property
    def is_completed(self) -> bool:
        """Whether it has a result."""
        return bool(self.row["status"] == COMPLETED)

    @property
    def rank(self) -> tuple[Any, ...]:
        """Of two outcomes of a trial the one with the higher rank counts."""
        written = self.row["written"]
        return self.is_completed, written is not None, written, self.row[OUTCOME] is not None, self.key


@dataclass(frozen=True)
class Decision:
    """What becomes of all outcomes of one trial.

    Attributes:
        counting: the outcome that counts.
        others: outcomes with other results, written last first.
        kept: outcomes beside ``counting`` that are kept: the others, and those of the same results that alone have
            final weights.
        same: number of outcomes that are left out because one with the same result stays.
        replaced: number of outcomes without a result that are left out.
    """

    counting: StoredOutcome
    others: tuple[StoredOutcome, ...] = ()
    kept: tuple[StoredOutcome, ...] = ()
    same: int = 0
    replaced: int = 0


def decide(outcomes: Iterable[StoredOutcome]) -> dict[str, Decision]:
    """What becomes of the outcomes of each trial; their order decides only which of equal keys is taken, the first.

    Epochs are read only of outcomes whose rows agree.
    """
    by_trial: dict[str, dict[Key, StoredOutcome]] = defaultdict(dict)
    for outcome in outcomes:
        by_trial[outcome.trial_id].setdefault(outcome.key, outcome)
    ranked = {
        name: sorted(distinct.values(), key=lambda outcome: outcome.rank, reverse=True)
        for name, distinct in by_trial.items()
    }
    alike = [
        outcome
        for of_trial in ranked.values()
        for group in _grouped(_completed(of_trial), lambda outcome: outcome.row_result)
        if len(group) > 1
        for outcome in group
    ]
    epochs = epochs_hashes(alike)
    return {name: _decision(of_trial, epochs) for name, of_trial in ranked.items()}


def _decision(ranked: Sequence[StoredOutcome], epochs: Mapping[StoredOutcome, str]) -> Decision:
    """What becomes of the outcomes of one trial, the highest rank first."""
    completed = _completed(ranked)
    replaced = len(ranked) - len(completed or ranked[:1])
    if not completed:
        return Decision(ranked[0], replaced=replaced)
    groups = _grouped(completed, lambda outcome: (outcome.row_result, epochs.get(outcome)))
    kept = {outcome.key: outcome for group in groups for outcome in (group[0], _with_weights(group))}
    counting = kept.pop(completed[0].key)
    others = tuple(group[0] for group in groups[1:])
    return Decision(counting, others, tuple(kept.values()), len(completed) - 1 - len(kept), replaced)


def _completed(outcomes: Iterable[StoredOutcome]) -> list[StoredOutcome]:
    return [outcome for outcome in outcomes if outcome.is_completed]


def _grouped(outcomes: Iterable[StoredOutcome], key: Callable[[StoredOutcome], Hashable]) -> list[list[StoredOutcome]]:
    """Outcomes with equal keys together, in the order of the first of each."""
    groups: dict[Hashable, list[StoredOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return list(groups.values())


def _with_weights(group: Sequence[StoredOutcome]) -> StoredOutcome:
    """The first outcome of a group that has final weights; the first of all where none has."""
    return next((outcome for outcome in group if outcome.row["kept_weights_hash"]), group[0])


def _derived(row: Row) -> str:
    """An outcome's id from the row's values: equal in every store and every version of sweep."""
    values = [(name, row[name]) for name in sorted(row) if row[name] is not None and name != OUTCOME]
    return hashlib.sha256(repr(values).encode()).hexdigest()[:8]


def epochs_hashes(outcomes: Iterable[StoredOutcome]) -> dict[StoredOutcome, str]:
    """A hash of the epochs of each outcome."""
    by_place: dict[Store, list[StoredOutcome]] = defaultdict(list)
    for outcome in outcomes:
        by_place[outcome.place].append(outcome)
    hashes: dict[StoredOutcome, str] = {}
    for place, stored in by_place.items():
        rows = rows_by_outcome(place, "epochs", {outcome.stored_key for outcome in stored})
        hashes |= {outcome: result_of_epochs(rows.get(outcome.stored_key, [])) for outcome in stored}
    return hashes


def rows_by_outcome(place: Store, folder: str, keys: Collection[Key]) -> dict[Key, list[dict[str, Any]]]:
    """The rows of epochs, masks or weights of some outcomes, by outcome."""
    rows: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    left = sorted(keys, key=repr)
    while left:  # single files do not name their outcome: one outcome of each trial is read at once
        one_each = {trial_id: (trial_id, outcome) for trial_id, outcome in left}
        left = [key for key in left if one_each[key[0]] != key]
        tables, _ = place.reader.outcome_rows(folder, set(one_each.values()), None)
        for row in (row for table in tables for row in table.to_pylist()):
            rows[one_each[row["trial_id"]]].append(row)
    return rows


class Sources:
    """Which of several stores each trial is taken from, and which other results there are of it.

    Attributes:
        stores: all that may hold the trials.
        index: of the store that a trial is taken from, by trial id.
    """

    def __init__(self, stores: Sequence[Store], tables: Sequence[pa.Table]):
        """``tables``: the trials of each store, with at least the columns :data:`sweep.store.reader.RANK`."""
        self.stores, self._tables = tuple(stores), tuple(tables)
        ranks = pa.concat_tables(table.select(RANK) for table in tables)
        number = [index for index, table in enumerate(tables) for _ in range(len(table))]
        names = ranks["trial_id"].to_pylist()
        self.index = {names[row]: number[row] for row in indices_that_count(ranks).to_pylist()}
        self._shared = _shared(names, ranks[OUTCOME].to_pylist())
        if unnamed := {name for name, found in self._shared.items() if None in found}:  # their rows decide
            place = {store: index for index, store in enumerate(self.stores)}
            self.index |= {name: place[one.counting.place] for name, one in decide(self._outcomes(unnamed)).items()}

    @cached_property
    def others(self) -> dict[str, tuple[StoredOutcome, ...]]:
        """Outcomes with other results than the one that counts, by the ids of the trials that have any."""
        wanted = {name for name, found in self._shared.items() if len(found) > 1 or None in found}
        for store in self.stores:
            wanted |= {file.trial_id for file in store.conflicts.loose("trials", set(self.index))}
        outcomes = [*self._outcomes(wanted), *(each for store in self.stores for each in kept_outcomes(store, wanted))]
        return {name: decision.others for name, decision in decide(outcomes).items() if decision.others}

    def _outcomes(self, trial_ids: Collection[str]) -> list[StoredOutcome]:
        """The outcomes of these trials that count in each store."""
        if not trial_ids:
            return []
        found = []
        for store, table in zip(self.stores, self._tables, strict=True):
            ids = set(table["trial_id"].to_pylist()) & set(trial_ids)
            if ids:
                found += [StoredOutcome(row, store) for row in store.trials(ids).to_pylist()]
        return found


def _shared(names: Sequence[str], outcomes: Sequence[str | None]) -> dict[str, set[str | None]]:
    """The trials that are named more than once, with their outcomes."""
    counts = Counter(names)
    shared: dict[str, set[str | None]] = defaultdict(set)
    for name, outcome in zip(names, outcomes, strict=True):
        if counts[name] > 1:
            shared[name].add(outcome)
    return dict(shared)


def kept_outcomes(store: Store, trial_ids: Collection[str]) -> list[StoredOutcome]:
    """The outcomes of some trials in the folder ``conflicts/``. Only those of trials that are completed count."""
    if not trial_ids:
        return []
    rows = store.conflicts.reader.all_rows("trials", set(trial_ids)).to_pylist()
    completed = store.completed({row["trial_id"] for row in rows}) if rows else set()
    return [StoredOutcome(row, store.conflicts) for row in rows if row["trial_id"] in completed]


def conflicts_of(store: Store, trial_ids: Iterable[str] | None = None) -> dict[str, tuple[StoredOutcome, ...]]:
    """Other results of the trials of one store, by trial id: of some trials or of all."""
    ids = None if trial_ids is None else set(trial_ids)
    names = {file.trial_id for file in store.conflicts.loose("trials", ids)}
    return Sources([store], [store.trials(names, RANK)]).others if names else {}
