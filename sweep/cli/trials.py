"""Commands about one trial."""

import json
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from sweep.cli.common import AS_JSON, SETTINGS, STORE, CommandGroup, examples, open_store, with_store
from sweep.cli.root import main
from sweep.errors import InputError

if TYPE_CHECKING:
    from sweep.store import Store


@main.group(section="Look", short_help="Show or rerun one trial.", cls=CommandGroup)
def trial() -> None:
    """One trial: show what is stored of it, or run it again."""


@trial.command("show", epilog=examples("sweep trial show 3f9c", "sweep trial show 3f9c1a7be2d04f55 --json"))
@click.argument("trial_id", metavar="ID")
@STORE
@AS_JSON
def trial_show(trial_id: str, store: str | None, as_json: bool) -> None:
    """Everything stored of one trial: config, outcome, mask by layer, epochs. The beginning of an ID is enough."""
    from sweep.cli.print import trials
    from sweep.cli.print.console import make_console
    from sweep.store.lookup import stored_trial

    opened = open_store(store)
    record = stored_trial(opened, trial_id)
    if as_json:
        click.echo(json.dumps(trials.trial_json(opened, record), indent=1, default=str))
    else:
        trials.trial(make_console(), opened, record)


@trial.command("run", epilog=examples(
    "sweep trial run 3f9c",
    "sweep trial run 3f9c --config cifar10 --device cuda --keep",
))  # fmt: skip
@click.argument("trial_id", metavar="ID")
@click.option("--config", type=click.Path(), help="The trial's sweep; not needed for a stored trial.")
@SETTINGS
@STORE
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--keep", is_flag=True, help="Store the outcome; refused if the trial is completed in the store.")
def trial_run(
    trial_id: str, config: str | None, settings: tuple[str, ...], store: str | None, device: str, keep: bool
) -> None:
    """Run one trial here and print its results, epoch by epoch. Stores nothing without --keep."""
    from sweep.cli.print.console import make_console
    from sweep.launch.rerun import run_one

    if config:
        from sweep.config.config import read_sweep

        sys.exit(run_one(read_sweep(config, with_store(settings, store)), trial_id, device, keep, make_console()))
    if keep or settings:
        raise InputError("--keep and --set need the trial's sweep: name it with --config")
    opened = open_store(store)
    _rerun(opened, trial_id, device, as_json=False)


@trial.command("rerun", epilog=examples("sweep trial rerun 3f9c", "sweep trial rerun 3f9c --device cuda --json"))
@click.argument("trial_id", metavar="ID")
@STORE
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@AS_JSON
def trial_rerun(trial_id: str, store: str | None, device: str, as_json: bool) -> None:
    """Run a stored trial again from its stored config, and compare every field, epoch and mask, to the last bit.

    Stores nothing. It imports the methods and networks of your own that the record names: use it only with stores that
    you trust. Exit code 0: all agrees; 1: something differs, or the trial did not complete.
    """

    _rerun(open_store(store), trial_id, device, as_json)


def _rerun(store: "Store", trial_id: str, device: str, as_json: bool) -> NoReturn:
    from sweep.cli.print import trials
    from sweep.cli.print.console import make_console
    from sweep.launch.rerun import rerun
    from sweep.records import COMPLETED
    from sweep.store.lookup import stored_trial

    found = rerun(store, stored_trial(store, trial_id), device, make_console(to_stderr=as_json))
    if as_json:
        click.echo(json.dumps(trials.comparisons_json(found), indent=1, default=str))
    else:
        trials.comparisons(make_console(), found)
    has_completed = any(each.field == "status" and each.again == COMPLETED for each in found)
    sys.exit(0 if has_completed and all(each.agrees for each in found) else 1)
