"""Commands that show something and run no trial."""

import json
import shlex
import socket
import sys
from contextlib import suppress

import click

from sweep.cli.common import AS_JSON, SETTINGS, STORE, examples, existing, open_store, with_store
from sweep.cli.root import main
from sweep.errors import InputError


@main.command(section="Look", short_help="Count completed, running, failed, missing trials.", epilog=examples(
    "sweep status digits",
    "sweep status --store s3://bucket/sweeps --json",
))  # fmt: skip
@click.argument("config", type=click.Path(), required=False)
@SETTINGS
@STORE
@AS_JSON
def status(config: str | None, settings: tuple[str, ...], store: str | None, as_json: bool) -> None:
    """How many trials are completed, failed or missing: of CONFIG's grid, or of all sweeps in a store."""
    from sweep.cli.print import status as print_status
    from sweep.cli.print.console import make_console
    from sweep.store.status import all_statuses, status_of

    if config:
        from sweep.config.config import read_sweep
        from sweep.launch.plan import ids_of
        from sweep.store import Store

        sweep = read_sweep(config, with_store(settings, store))
        opened = Store(sweep.store)
        names, note = ids_of(sweep, opened)
        if note:
            click.echo(note, err=True)
        found = [status_of(opened, sweep.name, names)]
    elif settings:
        raise InputError("--set needs the config that it changes: sweep status CONFIG --set …")
    else:
        opened = existing(store)
        found = all_statuses(opened)
    if as_json:
        click.echo(json.dumps(print_status.status_json(found)))
    else:
        print_status.status(make_console(), found, opened)


@main.command(section="Fix", short_help="Failed trials by kind, and how to fix each.", epilog=examples(
    "sweep failures",
    "sweep failures --store s3://bucket/sweeps --json",
))  # fmt: skip
@STORE
@AS_JSON
def failures(store: str | None, as_json: bool) -> None:
    """Failed trials by kind: how many, an example with its machine and memory, and the command that runs them again."""
    from sweep.cli.print import status as print_status
    from sweep.cli.print.console import make_console
    from sweep.failures import group
    from sweep.records import trial_record

    opened = existing(store)
    groups = group(trial_record(row) for row in opened.trials().to_pylist())
    if as_json:
        click.echo(json.dumps(print_status.failures_json(groups), indent=1))
    else:
        print_status.failures(make_console(), groups, opened)


@main.command(section="Look up", short_help="List pruning methods and their options.", epilog=examples(
    "sweep methods", "sweep methods force", "sweep methods --json", "sweep methods --markdown > docs/methods.md",
))  # fmt: skip
@click.argument("name", required=False)
@AS_JSON
@click.option("--markdown", is_flag=True, help="Print the page on the shipped ones: equations, papers, authors' code.")
def methods(name: str | None, as_json: bool, markdown: bool) -> None:
    """The pruning methods and their papers; of the one NAMEd, its options with defaults and meanings."""
    from sweep.cli.print import catalogue, methods_page
    from sweep.cli.print.console import make_console

    if markdown and (as_json or name):
        raise InputError("--markdown prints the page on all methods: leave the name and --json out")
    if markdown:
        click.echo(methods_page.page().encode(), nl=False)  # a file, whatever a terminal can show
        return
    if name:
        row = catalogue.named_method(name)
        if as_json:
            click.echo(json.dumps(row, indent=1))
        else:
            catalogue.method_options(make_console(), row)
        return
    rows, left_out = catalogue.method_rows()
    for reason in left_out:
        click.echo(f"left out: {reason}", err=True)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        catalogue.methods(make_console(), rows)


@main.command(
    section="Look up",
    short_help="List the shipped networks.",
    epilog=examples("sweep architectures", "sweep architectures --json"),
)
@AS_JSON
def architectures(as_json: bool) -> None:
    """The shipped networks and how many prunable weights each has."""
    from sweep.cli.print import catalogue
    from sweep.cli.print.console import make_console

    rows = catalogue.architecture_rows()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        catalogue.architectures(make_console(), rows)


@main.command(
    section="Look",
    short_help="Show the runs of a store in MLflow's pages.",
    epilog=examples("sweep ui --open", "sweep ui --store results --sweep cifar10 --port 5001"),
)
@STORE
@click.option("--sweep", "name", help="Link to the sweep of this name.  [default: all, the one launched last first]")
@click.option(
    "--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Port on the loopback interface."
)
@click.option("--open", "opens", is_flag=True, help="Open the first link in the browser.")
def ui(store: str | None, name: str | None, port: int, opens: bool) -> None:
    """Show the runs of a store in MLflow's pages, on this machine only, until Ctrl-C.

    Prints two links a sweep: a table of its trials sorted by test accuracy, and charts of accuracy over sparsity and by
    epoch. MLflow's telemetry is off.
    """
    from sweep.tracking import damage, default_uri, serve, sqlite_file, sweep_links, ui_command

    opened = open_store(store)
    uri = default_uri(opened)
    database = sqlite_file(uri)
    if database is None or not database.exists():
        raise InputError(
            f"{database}: there is no MLflow database; run 'sweep launch CONFIG' first, or name its --store"
        )
    if damaged := damage(uri):
        raise InputError(f"{damaged}, and run: {shlex.join(['sweep', 'sync', opened.name])}")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise InputError(f"--port {port}: this port is in use; choose another")
    address = f"http://127.0.0.1:{port}"
    pages = [
        (sweep, link.title, f"{address}/{link.address}")
        for sweep, links in sweep_links(opened, uri, name).items()
        for link in links
    ]

    def ready() -> None:
        for sweep, title, page in pages:
            click.echo(f"{sweep}, {title.lower()}: {page}")
        click.echo(f"MLflow on {address} (Ctrl-C ends it)")
        if opens:
            click.launch(pages[0][2] if pages else address)

    with suppress(KeyboardInterrupt):
        sys.exit(serve(ui_command(uri, port=port), address, ready))


@main.command(
    section="Look up",
    short_help="Completion of commands for your shell.",
    epilog=examples('eval "$(sweep completion bash)"', "sweep completion fish > ~/.config/fish/completions/sweep.fish"),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in your SHELL."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click.Choice lets no other in
    click.echo(kind(main, {}, "sweep", "_SWEEP_COMPLETE").source())
