"""Lines: progress where the output is no terminal. One line per trial that ended."""

import time
from types import TracebackType

from rich.console import Console

from sweep.config.trial_config import TrialConfig
from sweep.launch.progress.tally import Tally
from sweep.records import EpochRecord, TrialRecord
from sweep.trial.stage import Stage

QUIET_SECONDS = 300.0  # after so long without a line, long trials print one
AGAIN_SECONDS = 20.0  # between two lines why trials wait


class Lines:
    """Prints a line for each trial that ended, and the headline when nothing was printed for a while."""

    def __init__(self, tally: Tally, console: Console):
        self.tally, self._console = tally, console
        self._printed = time.monotonic()
        self._waiting, self._waited = "", -AGAIN_SECONDS  # the last reason that was printed, and when

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def preparing(self, text: str) -> None:
        """Print it."""
        self.say(f"{text} …")

    def prepared(self) -> None:
        """Say no longer that something is prepared."""
        self.tally.preparing("")

    def started(self, trial: TrialConfig) -> None:
        """Count it."""
        self.tally.started(trial)

    def preempted(self, trial_id: str, times: int) -> None:
        """Count it."""
        self.tally.preempted(trial_id, times)

    def epoch(self, record: EpochRecord) -> None:
        """Print the headline if nothing was printed for :data:`QUIET_SECONDS`."""
        self.tally.epoch(record)
        self._say_if_quiet()

    def stage(self, stage: Stage) -> None:
        """The same: an epoch may take hours."""
        self.tally.stage(stage)
        self._say_if_quiet()

    def waiting(self, reason: str) -> None:
        """Print it where it is another one, and when nothing was printed for a while."""
        self.tally.waiting(reason)
        now, line = time.monotonic(), self.tally.waiting_line
        if line and reason != self._waiting and now - self._waited > AGAIN_SECONDS:
            self._waiting, self._waited = reason, now
            self.say(line)
        self._say_if_quiet()

    def _say_if_quiet(self) -> None:
        if time.monotonic() - self._printed > QUIET_SECONDS:
            lines = (self.tally.headline().plain, self.tally.waiting_line, self.tally.running_lines().plain)
            self.say("\n".join(filter(None, lines)))

    def finished(self, record: TrialRecord) -> None:
        """Print how it ended."""
        self.tally.finished(record)
        self.say(self.tally.result_line(record))
        if remark := self.tally.remark_line(record):
            self.say(remark)

    def say(self, text: str) -> None:
        """Print a line, without wrapping it."""
        self._printed = time.monotonic()
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)
