"""What ``sweep report --watch`` prints while it waits."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console

from sweep.cli.print.console import trial_line
from sweep.errors import StoreError
from sweep.records import COMPLETED
from sweep.report import ReportFiles
from sweep.report.new_outcomes import Change, Row
from sweep.store import Store
from sweep.store.status import RUNNING

_MOST = 5  # trials that are named
_INDENT = " " * 10


def begins(out: Console, stores: Sequence[Store], every: float) -> None:
    """Which stores are watched, and how to end it."""
    names = ", ".join(store.name for store in stores)
    _line(out, f"watching {names}, every {every:g} s; the report is written when trials have ended (Ctrl-C ends this)")


def change(out: Console, found: Change) -> None:
    """The new counts, and the trials that have ended since the last change."""
    state = found.progress
    waits = "" if state.is_over or RUNNING in state.counts else "; no launch runs them: waiting for one"
    _line(out, f"{datetime.now():%H:%M:%S}  {state.text}{waits}")
    if found.is_first:
        return
    for row in found.ended[:_MOST]:
        _line(out, f"{_INDENT}{trial_line(row)}: {_result(row)}")
    if len(found.ended) > _MOST:
        _line(out, f"{_INDENT}and {len(found.ended) - _MOST:,} more")


def written(out: Console, files: ReportFiles) -> None:
    """The file to look at."""
    _line(out, f"{_INDENT}written: {files.page or files.summary}")


def stopped(out: Console, files: ReportFiles | None) -> None:
    """That it ended before the sweep did."""
    last = "no report was written" if files is None else f"the last report stays: {files.page or files.summary}"
    _line(out, f"Stopped; {last}")


def unreachable(out: Console, error: StoreError) -> None:
    """That a store could not be read, which is tried again."""
    _line(out, f"{datetime.now():%H:%M:%S}  {error}; trying again")


def _result(row: Row) -> str:
    if row["status"] == COMPLETED and row["test_accuracy"] is not None:
        return f"{100 * row['test_accuracy']:.2f}%"
    return str(row["status"])


def _line(out: Console, text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)
