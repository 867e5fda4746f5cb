"""The command line. Each body parses, calls one function and prints; heavy imports wait until they are needed."""

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from sweep.errors import InputError


class Group(click.Group):
    """Commands in the order of use; errors that are the user's to mend as one message and exit code 2."""

    def list_commands(self, context: click.Context) -> list[str]:
        """In order of definition."""
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except InputError as error:
            _fail(str(error))
        except KeyboardInterrupt:
            sys.exit(130)


def _fail(message: str) -> NoReturn:
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(message, err=True)
    sys.exit(2)


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


CONFIG = click.argument("config", type=click.Path(dir_okay=False))
STORES = click.argument("stores", nargs=-1, metavar="[STORE]...")
STORE = click.option("--store", help="Folder or URI of the store.  [default: results, or the config's]")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key of the YAML: --set grid.seed=0,1,2.",
    )(command)


def _with_store(settings: tuple[str, ...], store: str | None) -> tuple[str, ...]:
    return settings if store is None else (*settings, f"store={json.dumps(store)}")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sweep")
def main() -> None:
    """Sparsity sweeps: which pruning-at-initialization method keeps which network trainable at which sparsity.

    \b
    Begin with:
      sweep launch configs/digits.yaml     five methods on real images, minutes on a laptop
      sweep report                         tables and figures of what is in results/
    """


@main.command(epilog=_examples(
    "sweep launch configs/digits.yaml",
    "sweep launch configs/cifar10.yaml --set grid.seed=0 --set compute.gpus_per_trial=0.5",
    "sweep launch configs/cifar10.yaml --address auto --set store=s3://bucket/sweeps",
    "sweep launch configs/cifar10.yaml --local --jobs 3   # three trials side by side on one GPU",
    "sweep launch configs/cifar10.yaml --dry-run",
))  # fmt: skip
@CONFIG
@_settings
@click.option("--address", help="Join the Ray cluster at this address ('auto' on one of its machines).")
@click.option("--local", is_flag=True, help="Run the trials in this process, one after another, without Ray.")
@click.option(
    "-j", "--jobs", type=click.IntRange(1), metavar="N",
    help="With --local: run N at once, each in a process of its own on this machine.  [default: 1]",
)  # fmt: skip
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would run: the same as 'sweep plan'.")
@AS_JSON
@click.pass_context
def launch(
    context: click.Context, config: str, settings: tuple[str, ...], address: str | None, local: bool, jobs: int | None,
    dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run every trial of CONFIG that the store lacks.

    Launching again runs what is missing, and nothing if nothing is. Exit code 0: all trials are completed;
    1: some failed; 2: bad input, nothing was started; 130, 143: stopped by Ctrl-C, SIGTERM.
    """
    if dry_run:
        context.invoke(plan, config=config, settings=settings, as_json=as_json)
        return
    if local and address:
        raise InputError("--local runs without Ray and --address joins a cluster: give one of the two")
    if jobs and not local:
        raise InputError(
            f"--jobs {jobs} is for --local: Ray decides how many trials run at once, by compute.cpus_per_trial and"
            " compute.gpus_per_trial"
        )
    from sweep import show
    from sweep.config import read_sweep
    from sweep.run import run_sweep

    sweep = read_sweep(config, settings)
    console = show.console(to_stderr=as_json)
    summary = run_sweep(sweep, _engine(local, address, jobs or 1), console)
    show.summary(console, sweep, summary)
    if as_json:
        click.echo(json.dumps(show.summary_json(sweep, summary)))
    sys.exit(summary.exit_code)


def _engine(local: bool, address: str | None, jobs: int = 1) -> Any:
    if local and jobs == 1:
        from sweep import local as engine

        return engine.run
    from functools import partial

    if local:
        from sweep import pool

        return partial(pool.run, jobs=jobs)
    from sweep import launch as engine_on_ray

    return partial(engine_on_ray.run, address=address)


@main.command(epilog=_examples(
    "sweep plan configs/cifar10.yaml",
    "sweep plan configs/cifar10.yaml --set grid.sparsity=0.9,0.99 --json",
))  # fmt: skip
@CONFIG
@_settings
@AS_JSON
def plan(config: str, settings: tuple[str, ...], as_json: bool) -> None:
    """List the trials of CONFIG with their ids, their weights and whether the store has them. Runs nothing."""
    from sweep import show
    from sweep.config import read_sweep
    from sweep.run import plan as make_plan
    from sweep.store import Store

    sweep = read_sweep(config, settings)
    planned = make_plan(sweep, Store(sweep.store))
    if as_json:
        click.echo(json.dumps(show.plan_json(planned), indent=1))
    else:
        show.plan(show.console(), planned)


@main.command(epilog=_examples(
    "sweep status configs/digits.yaml",
    "sweep status --store s3://bucket/sweeps --json",
))  # fmt: skip
@click.argument("config", type=click.Path(dir_okay=False), required=False)
@_settings
@STORE
@AS_JSON
def status(config: str | None, settings: tuple[str, ...], store: str | None, as_json: bool) -> None:
    """How many trials are completed, failed or missing: of CONFIG's grid, or of all sweeps in a store."""
    from sweep import show
    from sweep.store import Store

    if config:
        from sweep.config import read_sweep
        from sweep.run import count
        from sweep.run import plan as make_plan

        sweep = read_sweep(config, _with_store(settings, store))
        opened = Store(sweep.store)
        counts = {sweep.name: count(make_plan(sweep, opened).trials, opened)}
    elif settings:
        raise InputError("--set needs the config that it changes: sweep status CONFIG --set …")
    else:
        opened = Store(store or "results")
        if opened.local is not None and not opened.local.exists():
            raise InputError(f"store: {opened.local} does not exist; name another with --store, or launch a sweep")
        counts = show.statuses(opened)
    if as_json:
        click.echo(json.dumps(counts))
    else:
        show.status(show.console(), counts, opened)


@main.group()
def trial() -> None:
    """One trial: show what is stored of it, or run it again."""


@trial.command("show", epilog=_examples("sweep trial show 3f9c", "sweep trial show 3f9c1a7be2d04f55 --json"))
@click.argument("trial_id", metavar="ID")
@STORE
@AS_JSON
def trial_show(trial_id: str, store: str | None, as_json: bool) -> None:
    """Everything stored of one trial: config, outcome, mask by layer, epochs, where it ran. ID may be a beginning."""
    from sweep import show
    from sweep.store import Store

    opened = Store(store or "results")
    record = show.find(opened, trial_id)
    if as_json:
        click.echo(json.dumps(show.trial_json(opened, record), indent=1, default=str))
    else:
        show.trial(show.console(), opened, record)


@trial.command("run", epilog=_examples(
    "sweep trial run 3f9c",
    "sweep trial run 3f9c --config configs/cifar10.yaml --device cuda --keep",
))  # fmt: skip
@click.argument("trial_id", metavar="ID")
@click.option("--config", type=click.Path(dir_okay=False), help="The sweep it is in; not needed for a stored trial.")
@_settings
@STORE
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--keep", is_flag=True, help="Store the outcome; refused if the store has it completed already.")
def trial_run(
    trial_id: str, config: str | None, settings: tuple[str, ...], store: str | None, device: str, keep: bool
) -> None:
    """Run one trial here and print what came out, epoch by epoch. Stores nothing unless told to."""
    from sweep import show
    from sweep.config import read_sweep
    from sweep.run import run_one, run_stored
    from sweep.store import Store

    if config:
        sys.exit(run_one(read_sweep(config, _with_store(settings, store)), trial_id, device, keep, show.console()))
    if keep or settings:
        raise InputError("--keep and --set need the trial's sweep: name it with --config")
    sys.exit(run_stored(show.find(Store(store or "results"), trial_id), device, show.console()))


@main.command(epilog=_examples(
    "sweep report",
    "sweep report results s3://bucket/sweeps --out figures",
    "sweep report --sweep cifar10",
))  # fmt: skip
@STORES
@click.option("--sweep", "name", help="Only the trials of the sweep of this name.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for the files  [default: STORE/reports/SWEEP]")
@AS_JSON
def report(stores: tuple[str, ...], name: str | None, out: str | None, as_json: bool) -> None:
    """Tables and figures of one or several stores: accuracy against sparsity, density by layer."""
    from sweep import show
    from sweep.report import write_report
    from sweep.run import report_folder
    from sweep.store import Store

    opened = [Store(uri) for uri in stores or ("results",)]
    folder = Path(out) if out else report_folder(opened[0], name or "all")
    files = write_report(opened, folder, sweep=name)
    for damaged, reason in {path: why for store in opened for path, why in store.damaged.items()}.items():
        click.echo(f"left out, cannot read {damaged}: {reason}", err=True)
    if as_json:
        click.echo(json.dumps([str(path) for path in files.all]))
    else:
        show.report(show.console(), files)


@main.command(epilog=_examples(
    "sweep reproduce",
    "sweep reproduce digits_figure1 --local",
    "sweep reproduce synflow_cifar10 --set grid.sparsity=0.99 --set data.path=FOLDER",
    "sweep reproduce force_figure1 --no-run",
))  # fmt: skip
@click.argument("name", required=False)
@click.option("--list", "listed", is_flag=True, help="List what is shipped; so does leaving NAME out.")
@_settings
@click.option("--address", help="Join the Ray cluster at this address ('auto' on one of its machines).")
@click.option("--local", is_flag=True, help="Run the trials in this process, one after another, without Ray.")
@click.option("--no-run", is_flag=True, help="Run nothing: judge what the store has.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for the files  [default: STORE/reports/SWEEP]")
@AS_JSON
def reproduce(
    name: str | None, listed: bool, settings: tuple[str, ...], address: str | None, local: bool, no_run: bool,
    out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Run what the store lacks of a published experiment, and judge it: ours beside the published, a verdict a row.

    NAME is a shipped one, or the path of a YAML with published/NAME.csv or published/NAME.claims.csv beside it.
    Running again with the same --set goes on where it was stopped. Published rows that --set leaves outside the grid
    are left out, and said to be.

    \b
    Exit code 0: every row passes, or fails as it is known to; 1: a row fails, is
    undecided or missing; 2: bad input, nothing was started; 130, 143: stopped by
    Ctrl-C, SIGTERM.
    """
    from sweep import catalogue, show

    if name is None or listed:
        rows = catalogue.reproduction_rows()
        click.echo(json.dumps(rows, indent=1)) if as_json else catalogue.reproductions(show.console(), rows)
        return
    if local and address:
        raise InputError("--local runs without Ray and --address joins a cluster: give one of the two")
    from sweep.reproduce import find, judge, read, write
    from sweep.run import report_folder, run_sweep
    from sweep.store import Store

    asked, console = read(find(name), settings), show.console(to_stderr=as_json)
    if not no_run:
        summary = run_sweep(asked.sweep, _engine(local, address), console)
        show.summary(console, asked.sweep, summary)
        if summary.signal is not None:
            sys.exit(summary.exit_code)
    store = Store(asked.sweep.store)
    verdicts = judge(asked, store)
    files = write(asked, verdicts, Path(out) if out else report_folder(store, asked.sweep.name))
    for damaged, reason in store.damaged.items():
        click.echo(f"left out, cannot read {damaged}: {reason}", err=True)
    if as_json:
        click.echo(json.dumps(show.verdicts_json(asked, verdicts, files), indent=1))
    else:
        show.verdicts(console, asked, verdicts, files)
    sys.exit(0 if all(verdict.in_order for verdict in verdicts) else 1)


@main.command(epilog=_examples("sweep methods", "sweep methods --json", "sweep methods --markdown > docs/methods.md"))
@AS_JSON
@click.option("--markdown", is_flag=True, help="Print the page on the shipped ones: equations, papers, authors' code.")
def methods(as_json: bool, markdown: bool) -> None:
    """The pruning methods, their papers and options."""
    from pruning import handbook
    from sweep import catalogue, show

    if as_json and markdown:
        raise InputError("--json and --markdown are two ways to print: give one of the two")
    if markdown:
        click.echo(handbook.page(), nl=False)
        return
    rows, left_out = catalogue.method_rows()
    for reason in left_out:
        click.echo(f"left out: {reason}", err=True)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        catalogue.methods(show.console(), rows)


@main.command(epilog=_examples("sweep architectures", "sweep architectures --json"))
@AS_JSON
def architectures(as_json: bool) -> None:
    """The shipped networks and how many prunable weights each has."""
    from sweep import catalogue, show

    rows = catalogue.architecture_rows()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        catalogue.architectures(show.console(), rows)


@main.command(epilog=_examples("sweep ui", "sweep ui --store results --port 5001"))
@STORE
@click.option(
    "--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Port on the loopback interface."
)
def ui(store: str | None, port: int) -> None:
    """Open the MLflow interface on the runs of a store, on this machine only."""
    from sweep.store import Store
    from sweep.tracking import default_uri, ui_command

    opened = Store(store or "results")
    uri = default_uri(opened)
    database = Path(uri.removeprefix("sqlite:///"))
    if not database.exists():
        raise InputError(f"{database}: no MLflow database there; run 'sweep launch CONFIG' first, or name its --store")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise InputError(f"--port {port}: something listens there already; choose another")
    click.echo(f"MLflow on http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = ui_command(uri, port=port)
    os.execvp(command[0], command)


@main.command(
    epilog=_examples('eval "$(sweep completion bash)"', "sweep completion fish > ~/.config/fish/completions/sweep.fish")
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in your SHELL."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click.Choice lets no other in
    click.echo(kind(main, {}, "sweep", "_SWEEP_COMPLETE").source())
