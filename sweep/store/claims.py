"""Claims: the trials that a launch has taken, their checkpoints and their outcomes."""

import logging
from collections.abc import Iterable, Mapping

from sweep.records import INTERRUPTED, Outcome, TrialRecord
from sweep.store import OutcomeKey, Store, folding
from sweep.store.leases import Leases
from sweep.text import one_line, redacted

logger = logging.getLogger(__name__)


class Claims:
    """Take a trial, save its checkpoints, write its outcome and release it. Can be pickled.

    Attributes:
        store: the store of the checkpoints and outcomes.

    Taking a trial lists ``trials/``, and so does writing its outcome. When the folder has :data:`folding.MANY` single
    files, taking a trial folds them, in the one process of a launch that takes its trials. So a listing is as long
    as :data:`folding.MANY`, the outcomes that are written while one process folds, and a few folds, however many trials
    and launches there are: the listings of a sweep grow with its trials, not with their square. What is read and what
    it guarantees is the same with folding and without.

    Args:
        store: as above.
        leases: of this launch.
        planned: the outcomes of the trials when the plan was made, as :meth:`Store.outcomes` returns them.
        from_scratch: ids of trials whose earlier checkpoints are dropped.
    """

    def __init__(
        self, store: Store, leases: Leases, planned: Mapping[str, OutcomeKey], from_scratch: Iterable[str] = ()
    ):
        self.store = store
        self._leases, self._planned, self._from_scratch = leases, dict(planned), set(from_scratch)
        self._fold_at = folding.MANY  # single files

    @classmethod
    def alone(cls, store: Store) -> "Claims":
        """For scripts and tests. These claims have no heartbeat, so other launches do not respect them."""
        return cls(store, Leases(store.files), store.outcomes())

    def take(self, trial_id: str) -> bool:
        """Whether this launch may run the trial: no other launch runs it or has ended it since the plan was made.

        Raises:
            StoreError: the store is full or unreachable.
        """
        self._fold_if_many()
        # taken before, and its worker was lost: then its checkpoint is this launch's own
        is_ours = trial_id in self._from_scratch and self._leases.holds(trial_id)
        if self._leases.claim(trial_id) is not None:
            return False
        if has_ended(self.store.outcomes([trial_id]).get(trial_id), self._planned.get(trial_id)):
            self._leases.release(trial_id)
            return False
        if trial_id in self._from_scratch:
            self._from_scratch.remove(trial_id)  # checkpoints from now on are this launch's own
            if not is_ours:
                self.store.drop_checkpoint(trial_id)
        return True

    def _fold_if_many(self) -> None:
        """Fold ``trials/`` if its last listing was long. An error only means that it stays long."""
        if self.store.reader.single.get("trials", 0) < self._fold_at:
            return
        try:
            folding.fold_trials(self.store, self._leases)
        except Exception as error:
            logger.warning(f"not folded, the store is as it was: {redacted(one_line(str(error)))}")
        # files that must not be folded stay; another try only after as many new ones
        self._fold_at = folding.MANY + len(self.store.loose("trials"))

    def load(self, trial_id: str) -> bytes | None:
        """The trial's last checkpoint, if there is one."""
        return self.store.load_checkpoint(trial_id)

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """Save a checkpoint in place of the last one.

        Raises:
            StoreError: the store is full or unreachable.
        """
        self.store.save_checkpoint(trial_id, checkpoint)

    def write(self, outcome: Outcome) -> TrialRecord:
        """Store an outcome and release the trial. Returns the record as it was stored.

        Raises:
            StoreError: the store is full or unreachable.
        """
        record = self.store.write(outcome)
        self._leases.release(record.trial_id)
        return record


def has_ended(outcome: OutcomeKey | None, planned: OutcomeKey | None) -> bool:
    """Whether a trial has ended since the plan was made: its outcome is another one, and not an interruption.

    Both as :meth:`Store.outcomes` returns them; None where there is none.
    """
    return outcome != planned and outcome is not None and outcome.status != INTERRUPTED
