"""Merging: bring the records of several stores into one, in any order and as often as one likes.

Which outcome of a trial counts and which others are kept follows from the outcomes alone
(:mod:`sweep.store.conflicts`), and so do the names and bytes of the files: every order of merging ends with the same
files. What the destination has already is not written again.

Launches may write to all of these stores meanwhile. Merging takes a trial of the destination as a launch does before it
changes what is stored of it, and leaves trials alone that a launch has taken. As everywhere in a store, new files are
written before those that they replace are deleted, and a trial's row is written last: the next merge completes one that
was killed.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from sweep.errors import InputError
from sweep.records import COMPLETED, DIVERGED
from sweep.store.conflicts import Decision, StoredOutcome, decide, kept_outcomes
from sweep.store.identity import add_identities
from sweep.store.layout import Key, loose_file
from sweep.store.leases import Leases
from sweep.store.merge_result import NEW, UNCHANGED, UPDATED, LeftOut, Merged
from sweep.store.merged_sweeps import merged_sweeps
from sweep.store.outcome_files import OutcomeFiles
from sweep.store.parquet import Damaged
from sweep.store.reader import RANK, indices_that_count, keys_of
from sweep.store.store import Store

_KEY = "merge"  # the claim of the process that merges
_TRIALS = 256  # decided on and copied at once

Tell = Callable[[int, int], None]  # trials so far, of how many


def merge(
    sources: Sequence[Store],
    destination: Store,
    tell: Tell = lambda done, total: None,
    *,
    is_dry: bool = False,
) -> Merged:
    """Bring the records of ``sources`` into ``destination``.

    Args:
        sources: only read.
        destination: created if it is absent; what is in it is merged too.
        tell: called with the progress.
        is_dry: write nothing.

    Raises:
        InputError: a source is the destination, is absent or holds nothing, or another process is merging into the
            destination.
        StoreError: a store cannot be reached, or the destination is full. Merging again goes on from there.
    """
    for source in sources:
        if source.local is not None and not source.local.exists():
            raise InputError(f"{source.name} does not exist: name a store to merge from")
        if source.files.is_same(destination.files):
            raise InputError(f"{source.name} is the destination and a source: name two different stores")
        if not source.names("trials") and not source.names("sweeps"):
            raise InputError(f"{source.name} holds no trial and no sweep: there is nothing to merge")
    if is_dry:
        return _Merging(sources, destination, None, tell).run()
    destination.check_writable()
    with Leases(destination.files).held() as leases:
        other = leases.claim(_KEY)
        if other is not None:
            raise InputError(f"store: {other} is merging into {destination.name}; wait for it to end")
        return _Merging(sources, destination, leases, tell).run()


@dataclass(frozen=True)
class _Trial:
    """What is to be done for one trial.

    Attributes:
        outcomes: all that may count or be kept.
        before: the key of the outcome that counts in the destination now; None if it has none.
        single: keys of the destination's outcomes in single files.
        conflicts: keys of the outcomes in the destination's folder ``conflicts/``.
        damaged: keys of outcomes that cannot be read: their files stay where they are.
    """

    decision: Decision
    outcomes: tuple[StoredOutcome, ...]
    before: Key | None
    single: frozenset[Key]
    conflicts: frozenset[Key]
    damaged: frozenset[Key] = frozenset()

    @property
    def obsolete(self) -> set[Key]:
        """Outcomes whose single files in the destination are to be deleted."""
        return set(self.single - self.damaged - {self.decision.counting.key})

    @property
    def obsolete_conflicts(self) -> set[Key]:
        """The same in the folder ``conflicts/``."""
        return set(self.conflicts - self.damaged - {outcome.key for outcome in self.decision.kept})

    @property
    def change(self) -> str:
        """One of :data:`sweep.store.merge_result.CHANGES`."""
        if self.before is None:
            return NEW
        return UNCHANGED if self.before == self.decision.counting.key else UPDATED


class _Merging:
    """One merging. Without ``leases`` it writes nothing."""

    def __init__(self, sources: Sequence[Store], destination: Store, leases: Leases | None, tell: Tell):
        self.sources, self.destination, self.leases, self.tell = tuple(sources), destination, leases, tell
        self.of_sources: dict[str, list[StoredOutcome]] = {}  # the sources' outcomes of trials that may need a change
        self.done = self.total = 0
        self.pool = ThreadPoolExecutor(4 if destination.local else 32)
        self.merged = Merged(destination.name, {}, is_dry=leases is None)

    def run(self) -> Merged:
        """Merge trials, then sweeps and ids."""
        ids = self.unsettled()
        for source in self.sources:
            rows = source.trials(ids).to_pylist()
            stored = [StoredOutcome(row, source) for row in rows]
            for outcome in [*stored, *kept_outcomes(source, ids)]:
                self.of_sources.setdefault(outcome.trial_id, []).append(outcome)
        names = sorted(self.of_sources)
        with self.pool:
            for start in range(0, len(names), _TRIALS):
                self.batch(names[start : start + _TRIALS])
        self.sweeps()
        if self.leases is not None:
            for source in self.sources:
                add_identities(source.files, self.destination.files)
        self.merged.left_out.sort()
        return self.merged

    def unsettled(self) -> set[str]:
        """The sources' trials whose rows must be read; of others the names of the files say that nothing changes."""
        places = [*self.sources, self.destination]
        keys = {place: _keys(place) for place in places}
        conflicts = {file.trial_id for place in places for file in place.conflicts.loose("trials")}
        self.merged.sources = {source.name: len(keys[source]) for source in self.sources}
        ids = set().union(*(keys[source].keys() for source in self.sources))
        settled = set()
        for name in ids - conflicts:
            known = set().union(*(keys[place].get(name, ()) for place in places))
            if len(known) == 1 and None not in known and name in keys[self.destination]:
                settled.add(name)
        self.merged.changes.update([UNCHANGED] * len(settled))
        self.done = len(settled)
        self.total = len(ids)
        self.tell(self.done, self.total)
        return ids - settled

    def batch(self, ids: Sequence[str]) -> None:
        """Merge some trials."""
        if self.leases is None:
            for trial in self.trials(ids).values():
                self.count(trial)
            return
        with self.taken(ids) as taken:
            trials = self.trials(taken)
            files = OutcomeFiles([outcome for trial in trials.values() for outcome, _ in self.copies(trial)])
            for stored in self.pool.map(lambda trial: self.store(trial, files), trials.values()):
                self.count(stored)

    def count(self, trial: _Trial | None) -> None:
        """Add a trial to the result; None for one of which no outcome could be read."""
        if trial is not None:
            self.merged.changes[trial.change] += 1
            self.merged.same += trial.decision.same
            self.merged.replaced += trial.decision.replaced
            if trial.decision.others:
                self.merged.conflicts.append(trial.decision)
        self.done += 1
        self.tell(self.done, self.total)

    @contextlib.contextmanager
    def taken(self, ids: Sequence[str]) -> Iterator[list[str]]:
        """Take trials of the destination as a launch does; yields those that no launch runs."""
        assert self.leases is not None
        taken = []
        try:
            for name, launch in zip(ids, self.pool.map(self.leases.claim, ids), strict=True):
                if launch is None:
                    taken.append(name)
                else:
                    reason = f"{launch} runs it: merge again when it has ended"
                    self.merged.left_out.append(LeftOut(name, self.destination.name, reason))
            yield taken
        finally:
            list(self.pool.map(self.leases.release, taken))

    def trials(self, ids: Collection[str]) -> dict[str, _Trial]:
        """What is to be done for some trials, by id."""
        wanted, here = set(ids), self.destination
        rows = here.reader.all_rows("trials", wanted)
        counting = set(indices_that_count(rows).to_pylist())
        single = {file.key for file in here.loose("trials", wanted)}
        stored = [StoredOutcome(row, here) for row in rows.to_pylist()]
        best = {each.trial_id: each for index, each in enumerate(stored) if index in counting}
        own = [
            each for each in stored if best[each.trial_id] is each or (each.is_completed and each.stored_key in single)
        ]
        beside = [
            StoredOutcome(row, here.conflicts) for row in here.conflicts.reader.all_rows("trials", wanted).to_pylist()
        ]
        kept = [each for each in beside if each.trial_id in best and best[each.trial_id].is_completed]
        found: dict[str, list[StoredOutcome]] = {}
        for outcome in [*own, *kept, *(each for name in ids for each in self.of_sources[name])]:
            found.setdefault(outcome.trial_id, []).append(outcome)
        decisions = decide(outcome for outcomes in found.values() for outcome in outcomes)
        return {
            name: _Trial(
                decision,
                tuple(found[name]),
                best[name].stored_key if name in best else None,
                frozenset(key for key in single if key[0] == name),
                frozenset(each.stored_key for each in beside if each.trial_id == name),
            )
            for name, decision in decisions.items()
        }

    def copies(self, trial: _Trial) -> list[tuple[StoredOutcome, Store]]:
        """The outcomes that the destination lacks, and where each belongs."""
        places = [*((outcome, self.destination.conflicts) for outcome in trial.decision.kept)]
        places.append((trial.decision.counting, self.destination))  # last: what it replaces is kept then
        return [(each, place) for each, place in places if each.place is not place or each.key != each.stored_key]

    def has_work(self, trial: _Trial) -> bool:
        """Whether the destination has to change."""
        return bool(self.copies(trial) or trial.obsolete or trial.obsolete_conflicts)

    def store(self, trial: _Trial, files: OutcomeFiles) -> _Trial | None:
        """Write what the destination lacks of a trial, then delete what is obsolete. Returns what was done.

        An outcome that cannot be read is left out; None if it is the only one.
        """
        if not self.has_work(trial):
            return trial
        for outcome, place in self.copies(trial):
            try:
                files.copy(outcome, place)
            except Damaged as error:
                self.merged.left_out.append(LeftOut(outcome.trial_id, outcome.place.name, str(error)))
                return self.store_without(trial, outcome)
        name, status = trial.decision.counting.trial_id, trial.decision.counting.row["status"]
        self.destination.forget(name, [outcome for _, outcome in trial.obsolete])
        self.destination.conflicts.forget(name, [outcome for _, outcome in trial.obsolete_conflicts])
        if status in (COMPLETED, DIVERGED):
            self.destination.drop_checkpoint(name)
        return trial

    def store_without(self, trial: _Trial, damaged: StoredOutcome) -> _Trial | None:
        """The same without one outcome."""
        outcomes = tuple(each for each in trial.outcomes if each is not damaged)
        if not outcomes:
            return None
        decision = decide(outcomes)[damaged.trial_id]
        rest = replace(trial, decision=decision, outcomes=outcomes, damaged=trial.damaged | {damaged.stored_key})
        return self.store(rest, OutcomeFiles([outcome for outcome, _ in self.copies(rest)]))

    def sweeps(self) -> None:
        """Merge the records of sweeps."""
        before = {record.name: record for record in self.destination.sweeps()}
        records = [*before.values(), *(record for source in self.sources for record in source.sweeps())]
        for name, record in merged_sweeps(records).items():
            if record != before.get(name):
                self.merged.sweeps.append(name)
                if self.leases is not None:
                    self.destination.write_sweep(record)


def _keys(place: Store) -> dict[str, set[str | None]]:
    """The outcomes that a store has of each trial, from the names of single files and the rows of folds."""
    keys: dict[str, set[str | None]] = {}
    for name in place.names("trials"):
        file = loose_file("trials", name)
        with contextlib.suppress(FileNotFoundError):  # folded or replaced since
            rows = None if file else place.reader.read("trials", name, RANK)
            for trial_id, outcome in [file.key] if file else keys_of(rows) if rows is not None else ():
                keys.setdefault(trial_id, set()).add(outcome)
    return keys
