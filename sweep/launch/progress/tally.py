"""The tally: counts of a launch, its time left, and the lines that say so."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from rich.text import Text

import pruning
from sweep.config.grid import title, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines import Stop
from sweep.records import COMPLETED, EpochRecord, TrialRecord
from sweep.report.record_page import mask_remarks
from sweep.text import clock, store_option

SHOWN = 8  # running trials


class Running(NamedTuple):
    """When a trial started, by the monotonic clock, and how many epochs it has finished."""

    start: float
    epochs: int


class Tally:
    """Counts running and ended trials.

    Args:
        trials: all trials of the launch, by id.
        done: how many of them the store had completed before.
        stop: of the launch.
        store: name of the store, for the commands that lines mention.
    """

    def __init__(self, trials: Mapping[str, TrialConfig], done: int, stop: Stop, store: str):
        self.trials, self.done_before = trials, done
        self._stop, self._store = stop, store
        self._running: dict[str, Running] = {}
        self._ended: Counter[str] = Counter()  # by status
        self._remarked: set[tuple[str, str]] = set()  # architecture and method
        self._began = time.monotonic()

    def begin(self) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def started(self, trial: TrialConfig) -> None:
        """Count a running trial."""
        self._running[trial_id(trial)] = Running(time.monotonic(), 0)

    def epoch(self, record: EpochRecord) -> None:
        """Count an epoch of a running trial."""
        before = self._running.get(record.trial_id, Running(time.monotonic(), 0))
        self._running[record.trial_id] = Running(before.start, record.epoch)

    def finished(self, record: TrialRecord) -> None:
        """Count an ended trial."""
        self._running.pop(record.trial_id, None)
        self._ended[record.status] += 1

    @property
    def remaining(self) -> float | None:
        """Seconds until all trials have ended, at the pace so far. None before the first has, and after a stop."""
        ended = self._ended.total()
        if not ended or self._stop.requested:
            return None
        partly = sum(self._share(name, running.epochs) for name, running in self._running.items())
        pace = (time.monotonic() - self._began) / (ended + partly)
        return pace * (len(self.trials) - self.done_before - ended - partly)

    def _share(self, name: str, epochs: int) -> float:
        total = _epochs(self.trials[name])
        return epochs / total if total else 0.0

    def headline(self) -> Text:
        """Counts and time left, on one line."""
        done, left = self.done_before + self._ended[COMPLETED], self.remaining
        line = Text(f"{done}/{len(self.trials)} done · {len(self._running)} running · ")
        others = {status: number for status, number in self._ended.items() if status != COMPLETED and number}
        line.append("".join(f"{number} {status} · " for status, number in others.items()))
        if self._stop.requested:
            when = "stopping" if self._running else "stopped"
        else:
            when = f"{clock(left)} left" if left is not None else "time left: after the first trial"
        line.append(when, style="bold")
        return line

    def running_lines(self) -> Text:
        """A line for each of the first running trials."""
        lines = []
        for name, running in list(self._running.items())[:SHOWN]:
            trial, since = self.trials[name], clock(time.monotonic() - running.start)
            lines.append(f"  {title(trial)}: epoch {running.epochs}/{_epochs(trial)}, {since}")
        return Text("\n".join(lines), style="dim")

    def result_line(self, record: TrialRecord) -> str:
        """How a trial ended, on one line."""
        count, name = self.done_before + self._ended.total(), title(self.trials[record.trial_id])
        if record.status == COMPLETED:
            result = f"test accuracy {100 * (record.test_accuracy or 0):.2f} %"
        else:
            reason = f": {record.error_type}: {record.error_message}" if record.error_type else ""
            result = f"{record.status}{reason}; see: sweep trial show {record.trial_id}{store_option(self._store)}"
        left = self.remaining
        eta = f", {clock(left)} left" if left else ""
        return f"[{count}/{len(self.trials)}] {name}: {result} ({record.seconds or 0:.1f} s{eta})"

    def remark_line(self, record: TrialRecord) -> str | None:
        """What decided a trial's mask besides scores, if anything; once per architecture and method."""
        sentences, key = mask_remarks(record), (record.architecture_label, record.method_label)
        if not sentences or key in self._remarked:
            return None
        self._remarked.add(key)
        return f"{title(self.trials[record.trial_id])}: {'; '.join(sentences)}"


def _epochs(trial: TrialConfig) -> int:
    """Epochs of all trainings of a trial: lottery tickets have several."""
    return pruning.find(trial.method.name).rehearse(dict(trial.method.options), trial.training.epochs)
