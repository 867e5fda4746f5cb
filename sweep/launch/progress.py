"""Progress: a live table on a terminal, one line per change anywhere else."""

import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

import pruning
from sweep.config.grid import title, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines import Stop
from sweep.records import COMPLETED, EpochRecord, TrialRecord
from sweep.report import accuracy_table, from_table, panels
from sweep.report.record_page import mask_remarks
from sweep.report.terminal import render
from sweep.store import Store
from sweep.text import clock, store_option

DRAW_SECONDS = 2.0  # between two drawings of the tables: of thousands of trials each takes a while
QUIET_SECONDS = 300.0  # off a terminal, long trials give a sign of life this often


class Progress:
    """Watches a sweep: done, running, failed, time left, and the accuracy of every cell so far."""

    def __init__(self, trials: Mapping[str, TrialConfig], done: int, store: Store, console: Console, stop: Stop):
        self._trials, self._console, self._store, self._stop = trials, console, store, stop
        self._before = done
        self._running: dict[str, tuple[float, int]] = {}  # trial id -> (start, epochs finished)
        self._ended: Counter[str] = Counter()
        self._records: dict[str, TrialRecord] = {}
        self._tables: list[RenderableType] = []
        self._remarked: set[tuple[str, str]] = set()
        self._stale, self._drawn = False, 0.0
        self._began = self._spoke = time.monotonic()
        self._live = Live(console=console, get_renderable=self._view, refresh_per_second=2)

    def __enter__(self) -> "Progress":
        self._began = time.monotonic()
        if self._console.is_terminal:
            earlier = from_table(self._store.trials(self._trials)) if self._before else []
            self._records = {r.trial_id: r for r in earlier if r.status == COMPLETED}
            self._draw()
            self._live.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._stale:
            self._draw()
        self._live.stop()

    def started(self, trial: TrialConfig) -> None:
        """Note a running trial."""
        self._running[trial_id(trial)] = (time.monotonic(), 0)

    def epoch(self, record: EpochRecord) -> None:
        """Note how far a running trial is."""
        start, _ = self._running.get(record.trial_id, (time.monotonic(), 0))
        self._running[record.trial_id] = (start, record.epoch)
        if not self._console.is_terminal and time.monotonic() - self._spoke > QUIET_SECONDS:
            self.say(self._head().plain + "\n" + self._now().plain)

    def finished(self, record: TrialRecord) -> None:
        """Count a trial that ended. Off a terminal every one gets a line, on it those that did not complete."""
        self._running.pop(record.trial_id, None)
        self._ended[record.status] += 1
        if self._console.is_terminal:
            self._records[record.trial_id] = record
            self._stale = True
        if not self._console.is_terminal or record.status != COMPLETED:
            self.say(self._line(record))
        self._remark(record)

    def _remark(self, record: TrialRecord) -> None:
        """Say what a trial's mask owes to something else than scores: of the first of an architecture and method."""
        sentences = mask_remarks(record)
        if sentences and (cell := (record.architecture_label, record.method_label)) not in self._remarked:
            self._remarked.add(cell)
            self.say(f"{title(self._trials[record.trial_id])}: {'; '.join(sentences)}")

    def say(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        self._spoke = time.monotonic()
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    @property
    def remaining(self) -> float | None:
        """Seconds until all is done, from the pace so far; None before anything finished and once it is to stop."""
        ended = self._ended.total()
        if not ended or self._stop.requested:
            return None
        partly = sum(self._share(name, epochs) for name, (_, epochs) in self._running.items())
        pace = (time.monotonic() - self._began) / (ended + partly)
        return pace * (len(self._trials) - self._before - ended - partly)

    def _share(self, name: str, epochs: int) -> float:
        whole = _epochs(self._trials[name])
        return epochs / whole if whole else 0.0

    def _line(self, record: TrialRecord) -> str:
        count, what = self._before + self._ended.total(), title(self._trials[record.trial_id])
        if record.status == COMPLETED:
            how = f"test accuracy {100 * (record.test_accuracy or 0):.2f} %"
        else:
            reason = f": {record.error_type}: {record.error_message}" if record.error_type else ""
            how = f"{record.status}{reason}; see: sweep trial show {record.trial_id}{store_option(self._store.name)}"
        left = self.remaining
        eta = f", {clock(left)} left" if left else ""
        return f"[{count}/{len(self._trials)}] {what}: {how} ({record.seconds or 0:.1f} s{eta})"

    def _draw(self) -> None:
        self._stale, self._drawn = False, time.monotonic()
        self._tables = [render(accuracy_table(panel)) for panel in panels(self._records.values())]

    def _view(self) -> RenderableType:
        if self._stale and time.monotonic() - self._drawn > DRAW_SECONDS:
            self._draw()
        return Group(self._head(), *self._tables, self._now())

    def _head(self) -> Text:
        done, left = self._before + self._ended[COMPLETED], self.remaining
        head = Text(f"{done}/{len(self._trials)} done · {len(self._running)} running · ")
        lost = {state: number for state, number in self._ended.items() if state != COMPLETED and number}
        head.append("".join(f"{number} {state} · " for state, number in lost.items()))
        if self._stop.requested:
            when = "stopping" if self._running else "stopped"
        else:
            when = f"{clock(left)} left" if left is not None else "time left: after the first trial"
        head.append(when, style="bold")
        return head

    def _now(self) -> Text:
        lines = []
        for name, (start, epochs) in list(self._running.items())[:8]:
            trial, since = self._trials[name], clock(time.monotonic() - start)
            lines.append(f"  {title(trial)}: epoch {epochs}/{_epochs(trial)}, {since}")
        return Text("\n".join(lines), style="dim")


def _epochs(trial: TrialConfig) -> int:
    """Of all its trainings: lottery tickets have several."""
    return pruning.find(trial.method.name).rehearse(dict(trial.method.options), trial.training.epochs)
