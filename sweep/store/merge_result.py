"""Merged: what merging stores came to."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from sweep.store.conflicts import Decision

NEW, UPDATED, UNCHANGED = CHANGES = ("new", "updated", "unchanged")


class LeftOut(NamedTuple):
    """A trial of a store that was not merged, and why."""

    trial_id: str
    store: str
    reason: str


@dataclass
class Merged:
    """The result of merging.

    Attributes:
        destination: its name.
        sources: number of trials by the store's name.
        changes: number of the sources' trials by what happened to their row in the destination, of :data:`CHANGES`.
        same: outcomes that were left out because another with the same result is kept.
        replaced: outcomes without a result that were left out because another outcome counts.
        conflicts: the trials with several results.
        left_out: what was not merged.
        sweeps: names of the sweeps whose records changed.
        is_dry: whether nothing was written.
    """

    destination: str
    sources: dict[str, int]
    changes: Counter[str] = field(default_factory=Counter)
    same: int = 0
    replaced: int = 0
    conflicts: list[Decision] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    sweeps: list[str] = field(default_factory=list)
    is_dry: bool = False
