"""Where commands print, and how a trial is named there."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from sweep.text import percent

Row = dict[str, Any]


def console(to_stderr: bool = False) -> Console:
    """Where commands print. Piped output is never wrapped."""
    found = Console(stderr=to_stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=to_stderr, highlight=False, width=200)


@contextmanager
def counting(out: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Progress of something long, on a terminal: tell what it yields how much is done, of how much."""
    if not out.is_terminal:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=out, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def named(values: Mapping[str, Any]) -> str:
    """What a trial is, on one line."""
    parts = (values["architecture_label"], values["method_label"], percent(values["sparsity"]), f"s{values['seed']}")
    return " ".join(parts)
