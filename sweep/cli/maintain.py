"""Commands that keep a store in order."""

import json
import sys

import click

from sweep.cli.common import AS_JSON, STORES, examples, existing
from sweep.cli.root import main


@main.command(
    section="Fix",
    short_help="Check every file of a store.",
    epilog=examples("sweep verify", "sweep verify results s3://bucket/sweeps --json"),
)
@STORES
@AS_JSON
def verify(stores: tuple[str, ...], as_json: bool) -> None:
    """Check every file of a store: that it can be read, every mask's hash and counts, every trial's id and epochs.

    Changes nothing. Exit code 0: no problems; 1: problems found and listed.
    """
    from sweep.cli.print import status as print_status
    from sweep.cli.print.console import counting, make_console
    from sweep.store.verify import verify as check

    console, problems = make_console(), []
    for uri in stores or ("results",):
        opened = existing(uri)
        with counting(make_console(to_stderr=True), f"verifying {opened.name}") as tell:
            of_store, checked = check(opened, tell)
        problems += [vars(problem) | {"store": opened.name} for problem in of_store]
        if not as_json:
            print_status.problems(console, of_store, checked)
    if as_json:
        click.echo(json.dumps(problems, indent=1))
    sys.exit(1 if problems else 0)


@main.command(
    section="Fix",
    short_help="Fold the many small files of a store into few.",
    epilog=examples("sweep compact", "sweep compact s3://bucket/sweeps"),
)
@STORES
@AS_JSON
def compact(stores: tuple[str, ...], as_json: bool) -> None:
    """Fold the many small files of a store into a few big ones, which are read much faster. No record changes.

    Sweeps and reports may run at the same time.
    """
    from sweep.cli.print.console import counting, make_console
    from sweep.store.folding import fold

    counts = {}
    for uri in stores or ("results",):
        opened = existing(uri)
        with counting(make_console(to_stderr=True), f"folding {opened.name}") as tell:
            folded = fold(opened, tell)
        counts[opened.name] = vars(folded)
        for path, reason in opened.damaged.items():
            click.echo(f"skipped, cannot read {path}: {reason}", err=True)
        if not as_json:
            click.echo(f"{opened.name}: {folded.before:,} files, now {folded.after:,}")
    if as_json:
        click.echo(json.dumps(counts))


@main.command(section="Fix", short_help="Merge stores into one.", epilog=examples(
    "sweep merge results-a results-b results",
    "sweep merge s3://bucket-a/sweeps gs://bucket-b/sweeps results",
    "sweep merge results-a results --dry-run",
))  # fmt: skip
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("destination")
@click.option("--dry-run", is_flag=True, help="Say what would be merged, and write nothing.")
@AS_JSON
def merge(sources: tuple[str, ...], destination: str, dry_run: bool, as_json: bool) -> None:
    """Merge the records of stores into DESTINATION: of several clusters one table. Merging again changes nothing.

    Each of them is a folder or a URI, and launches may write to them meanwhile. Outcomes of a trial with the same
    result become one row. Of different results the one written last counts; the others are kept in the folder
    conflicts/ and are listed with what differs in where and how they came about. The order of merging decides nothing.

    Exit code 0: all is merged; 1: some trials were left out, because a launch runs them or files cannot be read.
    """
    from sweep.cli.print import merging as print_merging
    from sweep.cli.print.console import counting, make_console
    from sweep.store import Store
    from sweep.store.merging import merge as merge_stores

    opened, target = [Store(uri) for uri in sources], Store(destination)
    with counting(make_console(to_stderr=True), f"merging into {target.name}") as tell:
        result = merge_stores(opened, target, tell, is_dry=dry_run)
    unreadable = {path: why for store in (*opened, target) for path, why in store.damaged.items()}
    for path, reason in unreadable.items():
        click.echo(f"skipped, cannot read {path}: {reason}", err=True)
    if as_json:
        click.echo(json.dumps(print_merging.merged_json(result), indent=1))
    else:
        print_merging.merged(make_console(), result)
    sys.exit(1 if result.left_out or unreadable else 0)


@main.command(section="Fix", short_help="Bring MLflow up to date with a store.", epilog=examples(
    "sweep sync",
    "sweep sync results s3://bucket/sweeps --tracking-uri http://mlflow.lab:5000",
    "sweep sync --sweep cifar10",
))  # fmt: skip
@STORES
@click.option(
    "--tracking-uri",
    "--uri",
    "uri",
    metavar="URI",
    help="MLflow's server or database.  [default: each sweep's tracking.uri, or STORE/mlflow.db]",
)
@click.option("--sweep", "name", help="Only the sweep of this name.")
@AS_JSON
def sync(stores: tuple[str, ...], uri: str | None, name: str | None, as_json: bool) -> None:
    """Bring MLflow up to date with a store: export missing runs, replace incomplete ones, delete duplicates.

    Sweeps may run at the same time. Runs no trial. Exit code 0: MLflow is up to date; 1: it does not answer, or another
    launch or sync is exporting to it; 2: bad input.
    """
    from functools import partial

    from sweep.cli.print.console import counting, make_console
    from sweep.tracking.sync import sync as export
    from sweep.tracking.sync import sync_jobs

    opened, results = [existing(address) for address in stores or ("results",)], []
    jobs = sync_jobs(opened, uri, name)
    for result in export(jobs, partial(counting, make_console(to_stderr=True))):
        results.append(result)
        if not as_json:
            click.echo(str(result))
    for store in opened:
        for path, reason in store.damaged.items():
            click.echo(f"skipped, cannot read {path}: {reason}", err=True)
    for error in dict.fromkeys(result.error for result in results if result.error):
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(f"{error}. What is in the store is safe; sync again when it answers", err=True)
    if as_json:
        click.echo(json.dumps([result.as_dict() for result in results]))
    elif not results:
        click.echo(f"{', '.join(store.name for store in opened)}: nothing to sync: no sweep was launched into it")
    sys.exit(0 if all(result.is_done for result in results) else 1)
