"""The time left of a launch, as it is shown: rounded, and not rising while nothing goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf
from typing import NamedTuple

from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.launch.pace import Ended, Pace, Running, seconds_left
from sweep.records import COMPLETED, EpochRecord, TrialRecord
from sweep.trial.stage import EPOCH, ROUND, Stage
from sweep.trial.work import Kind, Size, Work, epochs, expected

REFRESH_SECONDS = 2.0  # between two estimates, and more for a plan of many trials: 100,000 take a quarter of a second
TRIALS_A_SECOND = 10_000  # of those that wait: so many more, and estimates are a second farther apart
SLOT_SECONDS = 60.0  # after so long with fewer trials at once than before, that is how many run at once
WRONG = 1.5, 60.0  # an estimate so many times and so many seconds above what is shown: trials are slower than expected


class Report(NamedTuple):
    """What a trial was at (``ROUND``, ``EPOCH``, ``TEST``), the share of it that was done, and when."""

    name: str
    share: float
    at: float


@dataclass
class Attempt:
    """A running trial: when it began, and its first and last reports of what it is at."""

    start: float
    first: Report | None = None
    last: Report | None = None

    def add(self, report: Report) -> None:
        """Take a report; one of something else begins anew."""
        if self.first is None or self.first.name != report.name:
            self.first = report
        self.last = report


class TimeLeft:
    """Estimates the time left from events. Times are of the monotonic clock, in seconds.

    Args:
        todo: the trials of the launch that are to run, by id, in order.
    """

    def __init__(self, todo: Mapping[str, TrialConfig]):
        self._kinds = {name: Kind.of(trial) for name, trial in todo.items()}
        self._examples = {self._kinds[name]: trial for name, trial in todo.items()}
        self._waiting = dict.fromkeys(todo)  # in order, and quick to remove from
        self._running: dict[str, Attempt] = {}
        self._sizes: dict[str, Size] = {}  # by architecture
        self._ended: dict[Kind, Ended] = {}
        self._slots, self._full = 1, -inf  # trials at once, and when so many last ran
        self._estimated: tuple[float, float | None] = (-inf, None)  # when, and how many seconds were left
        self._shown: float | None = None
        self._is_wrong = False

    def started(self, trial: TrialConfig, now: float) -> None:
        """A trial began, or began again: its worker was lost."""
        name = trial_id(trial)
        self._is_wrong |= name in self._running
        self._waiting.pop(name, None)
        self._running[name] = Attempt(now)
        self._count_slots(now)

    def stage(self, stage: Stage, now: float) -> None:
        """A trial is so far."""
        kind = self._kinds.get(stage.trial_id)
        if kind is not None:
            self._sizes.setdefault(kind.architecture, Size(stage.images, stage.macs))
        if attempt := self._running.get(stage.trial_id):
            attempt.add(Report(stage.name, (stage.number - 1 + stage.share) / max(stage.of, 1), now))

    def epoch(self, record: EpochRecord, now: float) -> None:
        """A trial has finished an epoch."""
        if attempt := self._running.get(record.trial_id):
            total = epochs(self._examples[self._kinds[record.trial_id]])
            attempt.add(Report(EPOCH, min(1.0, record.epoch / max(total, 1)), now))

    def finished(self, record: TrialRecord, now: float) -> None:
        """A trial ended, here or in another launch."""
        attempt = self._running.pop(record.trial_id, None)
        self._waiting.pop(record.trial_id, None)
        if record.status != COMPLETED:
            self._is_wrong = True
        elif attempt is not None:
            kind = self._kinds[record.trial_id]
            before = self._ended.get(kind, Ended())
            self._ended[kind] = Ended(
                before.number + 1,
                before.seconds + _seconds(record, now - attempt.start),
                before.pruning + (record.prune_seconds or 0.0),
                before.training + (record.train_seconds or 0.0),
            )

    def seconds(self, now: float) -> float | None:
        """Seconds left, as they are shown: no more than before, unless something went wrong. None: not known yet."""
        at, estimate = self._estimated
        if now - at >= max(REFRESH_SECONDS, len(self._waiting) / TRIALS_A_SECOND) or self._is_wrong:
            at, estimate = self._estimated = now, self._estimate(now)
        if estimate is None:
            return None
        estimate = max(0.0, estimate - (now - at))
        factor, margin = WRONG
        if self._shown is None or self._is_wrong or estimate > max(factor * self._shown, self._shown + margin):
            self._shown = estimate
        self._shown, self._is_wrong = min(self._shown, estimate), False
        return self._shown

    def _count_slots(self, now: float) -> None:
        """How many trials run at once: as many as did within the last minute."""
        if len(self._running) >= self._slots or now - self._full > SLOT_SECONDS:
            self._slots, self._full = max(1, len(self._running)), now

    def _estimate(self, now: float) -> float | None:
        works = self._works()
        if self._waiting:
            self._count_slots(now)
        running = [self._as_running(works[self._kinds[name]], name, now) for name in self._running]
        pairs = {kind: (kind, work) for kind, work in works.items()}
        waiting = [pairs[self._kinds[name]] for name in self._waiting]
        return seconds_left(Pace.of(self._ended, running, works), running, waiting, self._slots)

    def _works(self) -> dict[Kind, Work]:
        """The expected work of each kind. A network that has not run yet counts like the others."""
        known = list(self._sizes.values())
        usual = Size(*(sum(values) // len(known) for values in zip(*known, strict=True))) if known else None
        return {
            kind: expected(trial, self._sizes.get(kind.architecture, usual)) for kind, trial in self._examples.items()
        }

    def _as_running(self, work: Work, name: str, now: float) -> Running:
        attempt, kind = self._running[name], self._kinds[name]
        if attempt.first is None or attempt.last is None:
            return Running(kind, work, since=now - attempt.start)
        first, last = attempt.first, attempt.last
        pruned, trained = (last.share, 0.0) if last.name == ROUND else (1.0, last.share if last.name == EPOCH else 1.0)
        begun = first.share if last.name in (ROUND, EPOCH) else 1.0
        return Running(kind, work, pruned, trained, begun, last.at - first.at, now - last.at)


def _seconds(record: TrialRecord, watched: float) -> float:
    """What a trial took: as watched; with the seconds before its checkpoint, where it went on from one."""
    went_on = record.attempts is not None and record.attempts > 1
    return max(record.seconds or 0.0, watched) if went_on else watched


def rounded(seconds: float) -> str:
    """``75`` -> ``about 2 min``, ``4000`` -> ``about 1 h 15 min``: rounded up, more coarsely the longer it is."""
    if seconds <= 60:
        return "less than a minute"
    minutes = ceil(seconds / 60)
    step = next(step for limit, step in ((10, 1), (60, 5), (360, 15), (inf, 60)) if minutes <= limit)
    minutes = step * ceil(minutes / step)
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        days, hours = divmod(hours, 24)
        return f"about {days} days" + (f" {hours} h" if hours else "")
    return "about " + " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)
