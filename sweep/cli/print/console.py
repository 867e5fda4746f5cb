"""The console that commands print to, a progress bar, and a trial on one line."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from sweep.text import trial_title

Row = dict[str, Any]
_UNLIMITED = 10_000  # columns


def make_console(to_stderr: bool = False) -> Console:
    """The console of a command. Output that goes to no terminal is never wrapped."""
    console = Console(stderr=to_stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=to_stderr, highlight=False, width=_UNLIMITED)


@contextmanager
def counting(out: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere. Call what it yields with the number done and the total."""
    if not out.is_terminal:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=out, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def trial_line(values: Mapping[str, Any]) -> str:
    """The title of a trial, from fields of its record."""
    return trial_title(*(values[name] for name in ("architecture_label", "method_label", "sparsity", "seed")))
