"""Commands that run trials."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweep.cli.common import (
    ADDRESS,
    AS_JSON,
    CONFIG,
    JOBS,
    LOCAL,
    MAX_COST,
    QUICK,
    SETTINGS,
    STORE,
    Jobs,
    announce,
    examples,
    existing,
    with_store,
)  # fmt: skip
from sweep.cli.root import main
from sweep.engines import choose as choose_engine
from sweep.errors import InputError

if TYPE_CHECKING:
    from sweep.launch.background import Background


@main.command(section="Run", short_help="Run what a sweep lacks.", epilog=examples(
    "sweep launch digits",
    "sweep launch cifar10_small --quick   # does everything run? minutes, not hours",
    "sweep launch cifar10 --set grid.seed=0 --set compute.mps=on",
    "sweep launch cifar10 --address auto --store s3://bucket/sweeps",
    "sweep launch cifar10 --local --jobs auto   # as many trials at once as fill the GPUs",
    "sweep launch cifar10 --detach        # goes on when the terminal is closed",
    "sweep launch cifar10 --set compute.dollars_per_hour=1.26 --max-cost 50",
    "sweep launch cifar10 --dry-run",
))  # fmt: skip
@CONFIG
@SETTINGS
@STORE
@QUICK
@ADDRESS
@LOCAL
@JOBS
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would run: the same as 'sweep plan'.")
@click.option(
    "--detach",
    is_flag=True,
    help="Go on in the background once all checks have passed; the terminal may be closed. Prints the log's file.",
)
@MAX_COST
@AS_JSON
@click.pass_context
def launch(
    context: click.Context, config: str, settings: tuple[str, ...], store: str | None, quick: bool,
    address: str | None, local: bool, jobs: Jobs, dry_run: bool, detach: bool, max_cost: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Run every trial of CONFIG, a YAML file or the name of a shipped one, that the store lacks.

    Launching again runs what is missing, and nothing if nothing is. Exit code 0: all trials are completed;
    1: some are not; 2: bad input, nothing was started; 3: some are not, after 'sweep stop' or 'sweep cancel';
    130, 143, 129: stopped by Ctrl-C, SIGTERM, a hang-up.
    """
    if dry_run:
        options = {"config": config, "settings": settings, "store": store, "quick": quick}
        context.invoke(plan, **options, max_cost=max_cost, as_json=as_json)
        return
    announce(f"checking {config} …")  # before the imports: torch alone takes seconds
    background = _detached(config, as_json) if detach else None
    engine = choose_engine(local, jobs, address)
    from sweep.cli.print import launches
    from sweep.cli.print.console import make_console
    from sweep.config.config import read_sweep
    from sweep.launch.run import run_sweep
    from sweep.store import Store

    sweep = read_sweep(config, with_store(settings, store), is_quick=quick)
    console = make_console(to_stderr=as_json)
    if quick:
        launches.quick_try(console, sweep)
    tell = partial(background.tell, store=Store(sweep.store).name) if background else (lambda launch: None)
    summary = run_sweep(sweep, engine, console, tell, max_cost)
    launches.summary(console, sweep, summary)
    if as_json:
        click.echo(json.dumps(launches.summary_json(sweep, summary)))
    sys.exit(summary.exit_code)


def _detached(config: str, as_json: bool) -> "Background":
    """In a copy of this process: the background. This process exits when the copy's checks have passed or failed."""
    from sweep.engines.on_ray.preconditions import submitted_as
    from sweep.launch.background import Background, Ended

    if submitted_as():
        raise InputError("--detach: a job of Ray runs in the background by itself; 'ray job submit --no-wait' returns")
    background = Background(Path(config).stem)
    if background.is_launch:
        return background
    result = background.wait()
    if isinstance(result, Ended):
        lines = result.output.splitlines()
        if as_json and result.exit_code == 0:
            click.echo(lines.pop())
        click.echo("\n".join(lines), err=as_json or result.exit_code != 0)
        sys.exit(result.exit_code)
    from sweep.cli.print import background as print_background

    click.echo(json.dumps(vars(result)) if as_json else print_background.started(result))
    sys.exit(0)


@main.command(section="Run", short_help="Show what a launch would run, and what it would take.", epilog=examples(
    "sweep plan cifar10",
    "sweep plan cifar10 --ids",
    "sweep plan digits --calibrate   # how long it takes here: measured in a minute",
    "sweep plan cifar10 --gpus 8 --set compute.dollars_per_hour=1.26 --max-cost 50",
    "sweep plan cifar10 --set grid.sparsity=0.9,0.99 --json",
))  # fmt: skip
@CONFIG
@SETTINGS
@STORE
@QUICK
@click.option("--ids", is_flag=True, help="List every trial with its id, instead of a line a method and sparsity.")
@click.option(
    "--calibrate",
    is_flag=True,
    help="First measure rounds and steps of the trials for about a minute, as many at once as a launch here runs, and"
    " keep that in the store for later plans.",
)
@click.option("--gpus", type=click.IntRange(1), metavar="N", help="Plan for N GPUs.  [default: those of this machine]")
@MAX_COST
@AS_JSON
def plan(
    config: str, settings: tuple[str, ...], store: str | None, quick: bool, ids: bool, calibrate: bool,
    gpus: int | None, max_cost: float | None, as_json: bool,
) -> None:  # fmt: skip
    """List the trials of CONFIG, which of them the store has, and what the others take: hours, memory, disk, dollars.

    Runs no trial. Exit code 2: bad input, or the trials may cost more than --max-cost. Hours come from like trials in
    the store, else from --calibrate; dollars from compute.dollars_per_hour.
    """
    from sweep.cli.print import launches
    from sweep.cli.print.budget import kind_lines
    from sweep.cli.print.console import make_console
    from sweep.config.config import read_sweep
    from sweep.launch.budget.budget import budget, check_cost
    from sweep.launch.plan import plan as make_plan
    from sweep.launch.preflight import check_grid, check_images
    from sweep.store import Store

    sweep = read_sweep(config, with_store(settings, store), is_quick=quick)
    opened = Store(sweep.store)
    planned, grid = make_plan(sweep, opened), check_grid(sweep)
    check_images(sweep)
    if calibrate:
        from sweep.launch.budget.calibrate import calibrate as run_calibration

        run_calibration(planned, opened, make_console(to_stderr=True))
    found = budget(planned, opened, grid.networks, gpus)
    if calibrate:
        for line in kind_lines(found):
            click.echo(line, err=as_json)
    if as_json:
        click.echo(json.dumps(launches.plan_json(planned, grid, found), indent=1))
    else:
        if quick:
            launches.quick_try(make_console(), sweep)
        launches.plan(make_console(), planned, grid, found, config, ids)
    if max_cost is not None:
        check_cost(found, max_cost)


@main.command(section="Fix", short_help="Run failed or stopped trials again.", epilog=examples(
    "sweep retry --failed",
    "sweep retry --kind out-of-memory --set compute.gpus_per_trial=1",
    "sweep retry 3f9c --force --local",
    "sweep retry --diverged --store s3://bucket/sweeps --address auto",
))  # fmt: skip
@click.argument("trial_ids", nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="All that failed.")
@click.option("--diverged", is_flag=True, help="All whose loss stopped being finite.")
@click.option("--interrupted", is_flag=True, help="All that were stopped.")
@click.option("--kind", "kinds", multiple=True, help="All failures of this kind; 'sweep failures' lists the kinds.")
@click.option(
    "--force",
    is_flag=True,
    help="Also rerun completed trials, from scratch; the stored result is kept until the new one is complete.",
)
@STORE
@SETTINGS
@ADDRESS
@LOCAL
@JOBS
@click.option("-n", "--dry-run", is_flag=True, help="Only list what would run.")
@AS_JSON
def retry(
    trial_ids: tuple[str, ...], failed: bool, diverged: bool, interrupted: bool, kinds: tuple[str, ...], force: bool,
    store: str | None, settings: tuple[str, ...], address: str | None, local: bool, jobs: Jobs, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Run stored trials again that did not complete. Needs only the store, no YAML.

    Trials resume from their checkpoints, if any. The beginning of an ID is enough. Exit codes are those of launch.
    """
    engine = choose_engine(local, jobs, address)
    from sweep.cli.print import launches
    from sweep.cli.print.console import make_console
    from sweep.failures import KINDS
    from sweep.launch.relaunch import as_before, choose, plans
    from sweep.launch.run import run_plan

    flags = {"failed": failed, "diverged": diverged, "interrupted": interrupted}
    if not (trial_ids or kinds or any(flags.values())):
        raise InputError("say which: IDs, --failed, --diverged, --interrupted or --kind; 'sweep failures' lists them")
    for name in kinds:
        if name not in {kind.name for kind in KINDS}:
            raise InputError(f"--kind {name}: one of {', '.join(kind.name for kind in KINDS)}")
    opened, console = existing(store), make_console(to_stderr=as_json)
    chosen = choose(opened, trial_ids, [status for status, given in flags.items() if given], kinds, force)
    planned = plans(opened, chosen, settings, force)
    if dry_run:
        click.echo(json.dumps([record.trial_id for record in chosen])) if as_json else launches.chosen(console, chosen)
        return
    summaries = []
    for plan_of_sweep in planned:
        summaries.append(run_plan(plan_of_sweep, opened, engine, console))
        if summaries[-1].was_stopped:
            break
    unchanged = as_before(opened, planned[: len(summaries)])
    if as_json:
        click.echo(json.dumps([launches.summary_json(p.sweep, s) for p, s in zip(planned, summaries, strict=False)]))
    launches.retried(console, summaries, unchanged)
    sys.exit(max([*(summary.exit_code for summary in summaries), 1 if unchanged else 0]))


@main.command(section="Run", short_help="Run a published experiment, compare its numbers.", epilog=examples(
    "sweep reproduce",
    "sweep reproduce digits_figure1 --local",
    "sweep reproduce synflow_cifar10 --set grid.sparsity=0.99 --set data.path=FOLDER",
    "sweep reproduce force_figure1 --no-run",
))  # fmt: skip
@click.argument("name", required=False)
@click.option("--list", "listed", is_flag=True, help="List the shipped experiments; the same as leaving NAME out.")
@SETTINGS
@STORE
@ADDRESS
@LOCAL
@JOBS
@click.option("--no-run", is_flag=True, help="Run nothing; compare what the store has.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for the files  [default: STORE/reports/SWEEP]")
@AS_JSON
def reproduce(
    name: str | None, listed: bool, settings: tuple[str, ...], store: str | None, address: str | None, local: bool,
    jobs: Jobs, no_run: bool, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Run what the store lacks of a published experiment, and compare its results with the published ones, row by row.

    NAME is a shipped one, or the path of a YAML with published/NAME.csv or published/NAME.claims.csv beside it.
    Running again with the same --set goes on where it was stopped. Published rows outside the grid, as --set leaves it,
    are skipped and counted in the output.

    \b
    Exit code 0: every row passes, or fails as it is known to; 1: a row fails, is
    undecided or missing; 2: bad input, nothing was started; 130, 143: stopped by
    Ctrl-C, SIGTERM.
    """
    from sweep.cli.print import catalogue, launches, reports
    from sweep.cli.print.console import make_console

    if name is None or listed:
        rows = catalogue.reproduction_rows()
        click.echo(json.dumps(rows, indent=1)) if as_json else catalogue.reproductions(make_console(), rows)
        return
    engine = choose_engine(local, jobs, address)
    announce(f"checking {name} …")
    from sweep.launch.run import run_sweep
    from sweep.report import report_folder
    from sweep.reproduce import find, judge, read, write
    from sweep.store import Store

    asked, console = read(find(name), with_store(settings, store)), make_console(to_stderr=as_json)
    if not no_run:
        summary = run_sweep(asked.sweep, engine, console)
        launches.summary(console, asked.sweep, summary)
        if summary.was_stopped and summary.exit_code:
            sys.exit(summary.exit_code)
    opened = Store(asked.sweep.store)
    verdicts = judge(asked, opened)
    files = write(asked, verdicts, Path(out) if out else report_folder(opened, asked.sweep.name))
    for damaged, reason in opened.damaged.items():
        click.echo(f"skipped, cannot read {damaged}: {reason}", err=True)
    if as_json:
        click.echo(json.dumps(reports.verdicts_json(asked, verdicts, files), indent=1))
    else:
        reports.verdicts(console, asked, verdicts, files)
    sys.exit(0 if all(verdict.in_order for verdict in verdicts) else 1)
