"""Commands that end running launches, from any machine that reaches their store."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.common import AS_JSON, STORE, examples, existing
from sweep.cli.root import main

if TYPE_CHECKING:
    from sweep.store.requests import Action

NAMES = click.argument("names", nargs=-1, metavar="[SWEEP]...")
WAIT = click.option("--wait", is_flag=True, help="Return when these launches have ended, and show what they still run.")


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments and options that both commands have."""
    return NAMES(STORE(WAIT(AS_JSON(command))))


@main.command(section="Run", short_help="Start no more trials; end after the running ones.", epilog=examples(
    "sweep stop cifar10",
    "sweep stop --wait && sweep report",
    "sweep stop 1a2b3c4d --store s3://bucket/sweeps   # one launch, by its id",
))  # fmt: skip
@_options
def stop(names: tuple[str, ...], store: str | None, wait: bool, as_json: bool) -> None:
    """Let running trials end, start no others, then end every launch of SWEEP, or of all sweeps in the store.

    Works from any machine that reaches the store: launches look for this request every few seconds. They draw the
    report and end with exit code 3, or 0 if no trial was left. Launching again runs what is missing.

    Exit code 0: all running launches are asked to end, if there are any (with --wait: they have ended); 2: no such
    sweep or store.
    """
    _end("stop", names, store, wait, as_json)


@main.command(section="Run", short_help="Interrupt running trials, each with a checkpoint.", epilog=examples(
    "sweep cancel cifar10",
    "sweep cancel --store s3://bucket/sweeps --wait",
))  # fmt: skip
@_options
def cancel(names: tuple[str, ...], store: str | None, wait: bool, as_json: bool) -> None:
    """Interrupt the running trials of SWEEP, or of all sweeps in the store, and end their launches.

    As Ctrl-C does, but from any machine that reaches the store: trials save a checkpoint at the next step and are
    recorded as interrupted, and the launches end with exit code 3. Launching again resumes them.

    Exit codes are those of stop.
    """
    _end("cancel", names, store, wait, as_json)


def _end(action: "Action", names: tuple[str, ...], store: str | None, wait: bool, as_json: bool) -> None:
    """Ask launches to end, wait for them if asked for, and print which."""
    from sweep.cli.print import running as print_running
    from sweep.cli.print.console import make_console
    from sweep.launch import running
    from sweep.store.requests import Request

    opened, console = existing(store), make_console(to_stderr=as_json)
    launches = running.ask(opened, running.running(opened, names), Request.from_here(action))
    print_running.asked(console, launches, action, names, opened)
    if wait:
        running.wait(opened, launches, lambda left: print_running.left(console, left))
        print_running.ended(console, launches)
    if as_json:
        click.echo(json.dumps(print_running.as_json(opened, launches, action, has_ended=wait)))
