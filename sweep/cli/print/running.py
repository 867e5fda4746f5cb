"""Launches that are asked to end."""

from collections.abc import Sequence

from rich.console import Console

from sweep.cli.print.console import Row
from sweep.launch.running import Running
from sweep.store import Store
from sweep.store.requests import CANCEL, Action
from sweep.text import store_option


def asked(out: Console, launches: Sequence[Running], action: Action, names: Sequence[str], store: Store) -> None:
    """Which launches were asked, and what happens now."""
    if not launches:
        of = f"of {', '.join(names)} " if names else ""
        out.print(f"nothing to {action}: no launch {of}runs in {store.name}", markup=False, soft_wrap=True)
        return
    for each in launches:
        out.print(f"{_name(each)}: {_what(each.trials, action)}", markup=False, soft_wrap=True)
    see = f"sweep status{store_option(store.name)}"
    out.print(f"See what still runs: {see}", markup=False, soft_wrap=True)


def left(out: Console, launches: Sequence[Running]) -> None:
    """What the command still waits for."""
    for each in launches:
        out.print(f"{_name(each)}: waiting, {each.trials} running", markup=False, soft_wrap=True)


def ended(out: Console, launches: Sequence[Running]) -> None:
    """That they have ended."""
    for each in launches:
        out.print(f"{_name(each)} has ended", markup=False, soft_wrap=True)


def as_json(store: Store, launches: Sequence[Running], action: Action, has_ended: bool) -> Row:
    """The same in plain values."""
    rows = [
        {
            "launch": each.launch.id,
            "sweep": each.launch.sweep,
            "host": each.launch.host,
            "pid": each.launch.pid,
            "running": each.trials,
            "has_ended": has_ended,
        }
        for each in launches
    ]
    return {"store": store.name, "action": action, "launches": rows}


def _name(each: Running) -> str:
    return f"{each.launch.sweep} ({each.launch}, launch {each.launch.id})"


def _what(trials: int, action: Action) -> str:
    """What a launch that runs so many trials does then."""
    if not trials:
        return "ends; it runs no trial"
    if action == CANCEL:
        return f"ends; {'1 running trial saves' if trials == 1 else f'{trials} running trials save'} a checkpoint"
    return f"starts no other trial; {'1 runs on to its end' if trials == 1 else f'{trials} run on to their end'}"
