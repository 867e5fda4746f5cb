"""Checkpoints: how far a trial is, saved as it goes, so that it can go on from there bit for bit.

After pruning that took a while, after every epoch and every so many minutes of a long one, in the place of the one
before. None is saved where saving would take more than a twentieth of the time: the next epoch's is, then.
"""

import logging
import time
from dataclasses import asdict
from typing import Any, Protocol

from sweep.records import RoundRecord
from training import checkpoint

FORMAT = 1
SHARE = 20  # of the time, one part at most goes into saving
NOTABLE_SECONDS = 10.0  # of work before the first step of a training: less is done again rather than saved

State = dict[str, Any]
logger = logging.getLogger(__name__)


class Place(Protocol):
    """Where the checkpoints of trials are kept."""

    def load(self, trial_id: str) -> bytes | None:
        """What was saved last, if anything."""

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """Keep this in its place."""


class Nowhere:
    """For a trial that is not to be resumed."""

    def load(self, trial_id: str) -> bytes | None:
        """Nothing."""
        return None

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """Forget it."""


class Keeper:
    """Saves one trial's checkpoints when it is time to.

    Args:
        place: where.
        trial_id: whose.
        minutes: between two in the middle of an epoch.
    """

    def __init__(self, place: Place, trial_id: str, minutes: float):
        self._place, self._trial_id, self._seconds = place, trial_id, 60.0 * minutes
        self._keeps = not isinstance(place, Nowhere)
        self._took, self._saved = 0.0, time.monotonic()

    def load(self) -> State | None:
        """The state that was saved last; None if there is none that is any good."""
        data = self._place.load(self._trial_id)
        if data is None:
            return None
        try:
            state = checkpoint.load(data)
        except ValueError as error:
            logger.warning(f"trial {self._trial_id} begins anew: its checkpoint cannot be read ({error})")
            return None
        if state.get("format") != FORMAT or state.get("trial_id") != self._trial_id:
            logger.warning(f"trial {self._trial_id} begins anew: its checkpoint is another version's or trial's")
            return None
        return state

    @property
    def is_due(self) -> bool:
        """Whether it is time for one in the middle of an epoch."""
        return time.monotonic() - self._saved >= self._seconds and self.is_cheap

    @property
    def is_notable(self) -> bool:
        """Whether what was done since the last one, or the beginning, is worth one before a training begins."""
        return time.monotonic() - self._saved >= NOTABLE_SECONDS and self.is_cheap

    @property
    def is_cheap(self) -> bool:
        """Whether one would not take too much of the time, and be kept."""
        return self._keeps and time.monotonic() - self._saved >= SHARE * self._took

    def save(self, state: State) -> None:
        """Save it now.

        Raises:
            StoreError: it cannot be written.
        """
        if not self._keeps:
            return
        begin = time.monotonic()
        self._place.save(self._trial_id, checkpoint.dump({"format": FORMAT, "trial_id": self._trial_id, **state}))
        self._saved = time.monotonic()
        self._took = self._saved - begin


def plain(facts: State) -> State:
    """Facts of a record in what a checkpoint may hold."""
    rounds = facts.get("rounds")
    return facts if rounds is None else facts | {"rounds": [asdict(one) for one in rounds]}


def facts_of(values: State) -> State:
    """The facts that :func:`plain` was given."""
    rounds = values.get("rounds")
    return values if rounds is None else values | {"rounds": tuple(RoundRecord(**one) for one in rounds)}
