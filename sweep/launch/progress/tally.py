"""The tally: counts of a launch, its time left, and the lines that say so."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text

from sweep.config.grid import title, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines import Stop
from sweep.launch.progress.time_left import TimeLeft, rounded
from sweep.records import COMPLETED, EpochRecord, TrialRecord
from sweep.report.record_page import mask_remarks
from sweep.text import clock, store_option
from sweep.trial.stage import Stage
from sweep.trial.work import epochs

SHOWN = 8  # running trials


@dataclass
class Running:
    """When a trial started, by the monotonic clock, and how far it is, in words."""

    start: float
    position: str = "starting"


class Tally:
    """Counts running and ended trials.

    Args:
        trials: all trials of the launch, by id.
        todo: those of them that the store had not completed before.
        stop: of the launch.
        store: name of the store, for the commands that lines mention.
    """

    def __init__(self, trials: Mapping[str, TrialConfig], todo: Mapping[str, TrialConfig], stop: Stop, store: str):
        self.trials, self.done_before = trials, len(trials) - len(todo)
        self._stop, self._store = stop, store
        self._running: dict[str, Running] = {}
        self._ended: Counter[str] = Counter()  # by status
        self._preemptions: dict[str, int] = {}  # by trial, in this launch
        self._remarked: set[tuple[str, str]] = set()  # architecture and method
        self._time_left = TimeLeft(todo)
        self._preparing = self._reason = ""

    def preparing(self, text: str) -> None:
        """Say so until a trial starts."""
        self._preparing = text

    def started(self, trial: TrialConfig) -> None:
        """Count a running trial."""
        self._preparing = ""
        self._running[trial_id(trial)] = Running(time.monotonic())
        self._time_left.started(trial, time.monotonic())

    def stage(self, stage: Stage) -> None:
        """Note how far a running trial is."""
        if stage.trial_id in self._running:
            self._running[stage.trial_id].position = str(stage)
        self._time_left.stage(stage, time.monotonic())

    def preempted(self, trial_id: str, times: int) -> None:
        """Count how often a trial has lost its machine."""
        self._preemptions[trial_id] = times

    def waiting(self, reason: str) -> None:
        """Note why trials wait."""
        self._reason = reason

    def epoch(self, record: EpochRecord) -> None:
        """Note that a running trial has finished an epoch."""
        if record.trial_id in self._running:
            total = epochs(self.trials[record.trial_id])
            self._running[record.trial_id].position = f"epoch {record.epoch}/{total}"
        self._time_left.epoch(record, time.monotonic())

    def finished(self, record: TrialRecord) -> None:
        """Count an ended trial."""
        self._running.pop(record.trial_id, None)
        self._ended[record.status] += 1
        self._time_left.finished(record, time.monotonic())

    @property
    def preemptions(self) -> int:
        """How often machines were taken away from trials of this launch."""
        return sum(self._preemptions.values())

    @property
    def is_over(self) -> bool:
        """Whether every trial has ended."""
        return self.done_before + self._ended.total() == len(self.trials)

    @property
    def time_left(self) -> str | None:
        """``about 5 min left``. None while nothing tells how fast trials are, after a stop, and at the end."""
        if self.is_over or not self._stop.may_start:
            return None
        left = self._time_left.seconds(time.monotonic())
        return None if left is None else f"{rounded(left)} left"

    def headline(self) -> Text:
        """Counts and time left, on one line."""
        done = self.done_before + self._ended[COMPLETED]
        line = Text(f"{done}/{len(self.trials)} done · {len(self._running)} running · ")
        others = {status: number for status, number in self._ended.items() if status != COMPLETED and number}
        line.append("".join(f"{number} {status} · " for status, number in others.items()))
        if self.preemptions:
            line.append(f"{self.preemptions} preempted · ")
        line.append(self._when(), style="bold")
        return line

    def _when(self) -> str:
        if self._stop.requested:
            return "stopping" if self._running else "stopped"
        if not self._stop.may_start:
            return "no other trial starts" if self._running else "stopped"
        if self._preparing:
            return f"{self._preparing} …"
        return "all have ended" if self.is_over else self.time_left or "time left: not known yet"

    @property
    def waiting_line(self) -> str:
        """How many trials wait, and why; empty where none do, or nothing tells why."""
        number = len(self.trials) - self.done_before - self._ended.total() - len(self._running)
        if not self._reason or not self._stop.may_start or number <= 0:
            return ""
        return f"{'1 trial waits' if number == 1 else f'{number:,} trials wait'}: {self._reason}"

    def running_lines(self) -> Text:
        """A line for each of the first running trials."""
        lines = []
        for name, running in list(self._running.items())[:SHOWN]:
            trial, since = self.trials[name], clock(time.monotonic() - running.start)
            lines.append(f"  {title(trial)}: {running.position}, {since}")
        if len(self._running) > SHOWN:
            lines.append(f"  and {len(self._running) - SHOWN} more")
        return Text("\n".join(lines), style="dim")

    def result_line(self, record: TrialRecord) -> str:
        """How a trial ended, on one line."""
        count, name = self.done_before + self._ended.total(), title(self.trials[record.trial_id])
        if record.status == COMPLETED:
            result = f"test accuracy {100 * (record.test_accuracy or 0):.2f} %"
        else:
            reason = f": {record.error_type}: {record.error_message}" if record.error_type else ""
            result = f"{record.status}{reason}; see: sweep trial show {record.trial_id}{store_option(self._store)}"
        eta = f", {left}" if (left := self.time_left) else ""
        return f"[{count}/{len(self.trials)}] {name}: {result} ({record.seconds or 0:.1f} s{eta})"

    def remark_line(self, record: TrialRecord) -> str | None:
        """What decided a trial's mask besides scores, if anything; once per architecture and method."""
        sentences, key = mask_remarks(record), (record.architecture_label, record.method_label)
        if not sentences or key in self._remarked:
            return None
        self._remarked.add(key)
        return f"{title(self.trials[record.trial_id])}: {'; '.join(sentences)}"
