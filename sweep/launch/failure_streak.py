"""The failure streak: stop a launch when its first trials all fail for the same reason."""

import re

from sweep.config.trial_config import TrialConfig
from sweep.engines import Stop
from sweep.records import COMPLETED, FAILED, EpochRecord, TrialRecord
from sweep.text import one_line

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")  # addresses, sizes and indices differ between failures of one reason


class FailureStreak:
    """A watcher that stops a launch whose first trials all fail for the same reason: all trials share its cause.

    Args:
        stop: of the launch.
        most: so many failures in a row, with nothing completed, stop it. 0: it never stops.
    """

    def __init__(self, stop: Stop, most: int):
        self._stop, self._most = stop, most
        self._reason, self._length = ("", ""), 0
        self._has_completed = False

    def started(self, trial: TrialConfig) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord) -> None:
        """Nothing."""

    def finished(self, record: TrialRecord) -> None:
        """Count a failure."""
        self._has_completed |= record.status == COMPLETED
        if record.status != FAILED:
            self._length = 0
            return
        reason = (record.error_type or "", _NUMBER.sub("#", record.error_message or ""))
        self._length = self._length + 1 if reason == self._reason else 1
        self._reason = reason
        if self._length == self._most and not self._has_completed and not self._stop.requested:
            said = one_line(f"{record.error_type}: {record.error_message}")
            self._stop.give_up(
                f"Stopped: {self._length} trials in a row have failed for one reason, and none has completed: {said}."
                " Launching again goes on; --set compute.stop_after=0 runs the rest whatever fails"
            )
