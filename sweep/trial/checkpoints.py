"""Checkpoints: how far a trial is, saved while it runs, so that it can continue from there bit for bit.

A trial saves one after pruning that took a while, after every epoch and every few minutes of a long one; each replaces
the one before. None is saved while saving takes more than a twentieth of the time.
"""

import logging
import time
from typing import Any, Protocol

from training import checkpoint

FORMAT = 1
SHARE = 20  # saving takes at most one part in so many of the time
NOTABLE_SECONDS = 10.0  # of work before a training's first step that are worth a checkpoint; less is repeated

Checkpoint = dict[str, Any]
logger = logging.getLogger(__name__)


class CheckpointStore(Protocol):
    """Where the checkpoints of trials are kept."""

    def load(self, trial_id: str) -> bytes | None:
        """The checkpoint that was saved last; None if there is none."""

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """Replace the trial's checkpoint."""


class NoCheckpoints:
    """The store of a trial that cannot be resumed."""

    def load(self, trial_id: str) -> bytes | None:
        """None."""
        return None

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """Save nothing."""


class Checkpointer:
    """Loads the checkpoint of one trial, saves new ones, and says when one is due.

    Args:
        store: where they are kept.
        trial_id: of the trial.
        minutes: between two checkpoints within an epoch.
    """

    def __init__(self, store: CheckpointStore, trial_id: str, minutes: float):
        self._store, self._trial_id, self._seconds = store, trial_id, 60.0 * minutes
        self._saves = not isinstance(store, NoCheckpoints)
        self._save_seconds, self._saved_at = 0.0, time.monotonic()

    def load(self, data_fingerprint: str | None) -> Checkpoint | None:
        """The checkpoint that was saved last; None if there is none, or none that fits.

        Args:
            data_fingerprint: of the trial's images. A checkpoint made from other images is ignored.
        """
        data = self._store.load(self._trial_id)
        if data is None:
            return None
        try:
            state = checkpoint.load(data)
        except ValueError as error:
            reason = f"cannot be read ({error})"
        else:
            reason = self._mismatch(state, data_fingerprint)
            if not reason:
                return state
        logger.warning(f"trial {self._trial_id} starts from scratch: its checkpoint {reason}")
        return None

    def _mismatch(self, state: Checkpoint, data_fingerprint: str | None) -> str:
        """Why a checkpoint is not one of this trial; empty if it is."""
        if state.get("format") != FORMAT or state.get("trial_id") != self._trial_id:
            return "was made by another version of sweep, or by another trial"
        if state["facts"]["data_fingerprint"] != data_fingerprint:
            return "was made from other images"
        return ""

    @property
    def is_due(self) -> bool:
        """Whether to save one within an epoch now."""
        return time.monotonic() - self._saved_at >= self._seconds and self.is_cheap

    @property
    def is_notable(self) -> bool:
        """Whether enough work was done before a training to save a checkpoint of it."""
        return time.monotonic() - self._saved_at >= NOTABLE_SECONDS and self.is_cheap

    @property
    def is_cheap(self) -> bool:
        """Whether saving would take a small enough share of the time, and be of use."""
        return self._saves and time.monotonic() - self._saved_at >= SHARE * self._save_seconds

    def save(self, state: Checkpoint) -> None:
        """Save a checkpoint now, however long it takes.

        Raises:
            StoreError: it cannot be written.
        """
        if not self._saves:
            return
        begin = time.monotonic()
        self._store.save(self._trial_id, checkpoint.dump({"format": FORMAT, "trial_id": self._trial_id, **state}))
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - begin
