"""Runs as MLflow shows them: which trial and outcome, and who writes them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sweep.store.leases import Launch

RUNNING = "RUNNING"
YOUNG_SECONDS = 60.0  # a run takes a second to write, so that nobody writes it any more after this
FORGOTTEN_SECONDS = 3600.0

TRIAL, OUTCOME = "sweep.trial_id", "sweep.outcome"
KIND, CONFIG = "sweep.kind", "sweep.config"
STORE = "sweep.store"  # an id of the store that it shows a trial or a sweep of
EXPORTER, BEGAN = "sweep.exporter", "sweep.export_began"  # which process wrote the run, and since when (ms since 1970)


@dataclass(frozen=True)
class Shown:
    """A run.

    Attributes:
        params: their names.
        start: ms since 1970; of a trial's run, when the trial started.
    """

    run_id: str
    status: str
    start: int
    tags: dict[str, str] = field(repr=False)
    params: frozenset[str] = field(repr=False)

    @property
    def trial_id(self) -> str | None:
        """The trial that it shows; None where it is no trial's run."""
        return self.tags.get(TRIAL)

    @property
    def store(self) -> str | None:
        """An id of its store. Runs of earlier versions do not say."""
        return self.tags.get(STORE)

    @property
    def is_half_written(self) -> bool:
        """Whether its writer has not come to its end. Trials that run have no run yet."""
        return self.status == RUNNING

    @property
    def age(self) -> float:
        """Seconds since somebody began to write it. Runs of earlier versions do not say, and are old."""
        return time.time() - int(self.tags.get(BEGAN, "0")) / 1000

    @property
    def writer(self) -> Launch | None:
        """Which process wrote it, or writes it. Runs of earlier versions do not say."""
        try:
            return Launch.from_json(self.tags.get(EXPORTER, ""))
        except ValueError:
            return None

    @property
    def is_being_written(self) -> bool:
        """Whether its writer is at it just now, as far as can be told: one on another machine has a minute."""
        writer = self.writer
        if writer is None or not self.is_half_written or self.age > YOUNG_SECONDS:
            return False
        return not (writer.is_here and writer.has_died)

    def shows(self, outcome: str | None) -> bool:
        """Whether this outcome is shown, and all of it."""
        return not self.is_half_written and self.tags.get(OUTCOME) == outcome


def shown(run: Any) -> Shown:
    """What matters of MLflow's Run."""
    return Shown(run.info.run_id, run.info.status, run.info.start_time or 0, run.data.tags, frozenset(run.data.params))


def by_trial(runs: Iterable[Shown]) -> dict[str, list[Shown]]:
    """The trials' runs. A run that was listed twice, which happens while others write, is one."""
    found: dict[str, list[Shown]] = {}
    for run in {each.run_id: each for each in runs}.values():
        if run.trial_id is not None:
            found.setdefault(run.trial_id, []).append(run)
    return found


def best_first(runs: Iterable[Shown], outcome: str | None) -> list[Shown]:
    """The runs of a trial, the one to keep first: whoever asks, and however many at once, it is the same one."""
    return sorted(runs, key=lambda run: (not run.shows(outcome), run.is_half_written, run.run_id))
