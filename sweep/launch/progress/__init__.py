"""Progress: what a terminal or a log shows while trials run.

tally.py      what both show: counts, time left, lines
live.py       on a terminal: a table that is drawn again and again
lines.py      anywhere else: one line per trial that ended
time_left.py  the time left, as it is shown

``sweep/launch/pace.py`` has the estimate of it.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console

from sweep.config.trial_config import TrialConfig
from sweep.engines import Display, Stop
from sweep.launch.progress.lines import Lines
from sweep.launch.progress.live import LiveTable
from sweep.launch.progress.tally import Tally
from sweep.store import Store

__all__ = ["Progress", "open_progress"]


class Progress(Display, Protocol):
    """A display that shows what happens, and a context manager around the run.

    Attributes:
        tally: the numbers that it shows.
    """

    tally: Tally

    def __enter__(self) -> Self:
        """Start showing."""

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Show the last state, and end."""

    def say(self, text: str) -> None:
        """Print a line."""


def open_progress(
    trials: Mapping[str, TrialConfig], todo: Mapping[str, TrialConfig], store: Store, console: Console, stop: Stop
) -> Progress:
    """Progress for this console of a launch that runs ``todo`` of the ``trials``."""
    tally = Tally(trials, todo, stop, store.name)
    return LiveTable(tally, store, console) if console.is_terminal else Lines(tally, console)
