"""The live table: progress on a terminal."""

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from sweep.config.trial_config import TrialConfig
from sweep.launch.progress.tally import Tally
from sweep.records import COMPLETED, EpochRecord, TrialRecord
from sweep.report import accuracy_table, from_table, panels
from sweep.report.terminal import render
from sweep.store import Store
from sweep.trial.stage import Stage

DRAW_SECONDS = 2.0  # between two drawings of the tables: with thousands of trials each takes a while


class LiveTable:
    """Draws counts, time left, the accuracy of every cell so far, and the running trials."""

    def __init__(self, tally: Tally, store: Store, console: Console):
        self.tally, self._store, self._console = tally, store, console
        self._records: dict[str, TrialRecord] = {}
        self._tables: list[RenderableType] = []
        self._is_stale, self._drawn = False, 0.0
        self._live = Live(console=console, get_renderable=self._view, refresh_per_second=2)

    def __enter__(self) -> "LiveTable":
        earlier = from_table(self._store.trials(self.tally.trials)) if self.tally.done_before else []
        self._records = {record.trial_id: record for record in earlier if record.status == COMPLETED}
        self._draw()
        self._live.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._is_stale:
            self._draw()
        self._live.stop()

    def preparing(self, text: str) -> None:
        """Show it until a trial starts."""
        self.tally.preparing(text)

    def prepared(self) -> None:
        """Say no longer that something is prepared."""
        self.tally.preparing("")

    def started(self, trial: TrialConfig) -> None:
        """Show it among the running trials."""
        self.tally.started(trial)

    def stage(self, stage: Stage) -> None:
        """Show how far a trial is."""
        self.tally.stage(stage)

    def preempted(self, trial_id: str, times: int) -> None:
        """Count it."""
        self.tally.preempted(trial_id, times)

    def waiting(self, reason: str) -> None:
        """Show it below the counts."""
        self.tally.waiting(reason)

    def epoch(self, record: EpochRecord) -> None:
        """Show how far it is."""
        self.tally.epoch(record)

    def finished(self, record: TrialRecord) -> None:
        """Put it into the table. A trial that did not complete also gets a line."""
        self.tally.finished(record)
        self._records[record.trial_id] = record
        self._is_stale = True
        if record.status != COMPLETED:
            self.say(self.tally.result_line(record))
        if remark := self.tally.remark_line(record):
            self.say(remark)

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def _draw(self) -> None:
        self._is_stale, self._drawn = False, time.monotonic()
        self._tables = [render(accuracy_table(panel, running=True)) for panel in panels(self._records.values())]

    def _view(self) -> RenderableType:
        if self._is_stale and time.monotonic() - self._drawn > DRAW_SECONDS:
            self._draw()
        waiting = [Text(line, style="yellow")] if (line := self.tally.waiting_line) else []
        return Group(self.tally.headline(), *waiting, *self._tables, self.tally.running_lines())
