"""The claims: what a launch does with the store while it runs, one trial at a time."""

from collections.abc import Iterable, Mapping

from sweep.records import INTERRUPTED, Outcome, TrialRecord
from sweep.store import Store
from sweep.store.leases import Leases


class Claims:
    """Take a trial, keep how far it is, write down how it ended, and so give it back. May be pickled.

    Attributes:
        store: where all of it lies.
    """

    def __init__(self, store: Store, leases: Leases, planned: Mapping[str, str], anew: Iterable[str] = ()):
        """``planned``: :meth:`Store.outcomes` of the trials as they were when it was decided to run them.

        Of ``anew`` no checkpoint from before counts.
        """
        self.store = store
        self._leases, self._planned, self._anew = leases, dict(planned), set(anew)

    @classmethod
    def alone(cls, store: Store) -> "Claims":
        """For who runs trials by hand, and is sure that nobody else does."""
        return cls(store, Leases(store.files), store.outcomes())

    def take(self, trial_id: str) -> bool:
        """Whether the trial is ours to run: no other launch has it, or has ended it since it was planned.

        Raises:
            StoreError: the store is full or gone.
        """
        # for the second time, where its worker was lost: then its checkpoint is of this launch
        is_ours = trial_id in self._anew and self._leases.holds(trial_id)
        if self._leases.claim(trial_id) is not None:
            return False
        if has_ended(self.store.outcomes([trial_id]).get(trial_id), self._planned.get(trial_id)):
            self._leases.release(trial_id)
            return False
        if trial_id in self._anew:
            self._anew.remove(trial_id)  # what comes from now on is of this launch
            if not is_ours:
                self.store.drop_checkpoint(trial_id)
        return True

    def load(self, trial_id: str) -> bytes | None:
        """Its checkpoint, if there is one."""
        return self.store.load_checkpoint(trial_id)

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        """Keep a checkpoint.

        Raises:
            StoreError: the store is full or gone.
        """
        self.store.save_checkpoint(trial_id, checkpoint)

    def write(self, outcome: Outcome) -> TrialRecord:
        """Store an outcome, and give the trial back. Returns its record as it was stored.

        Raises:
            StoreError: the store is full or gone.
        """
        record = self.store.write(outcome)
        self._leases.release(record.trial_id)
        return record


def has_ended(outcome: str | None, planned: str | None) -> bool:
    """Whether a trial has ended since it was planned: another outcome of it counts, and it was not merely stopped.

    Both as :meth:`Store.outcomes` has them.
    """
    return outcome != planned and outcome is not None and not outcome.startswith(INTERRUPTED)
