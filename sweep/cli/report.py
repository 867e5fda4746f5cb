"""The command ``sweep report``."""

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweep.cli.common import AS_JSON, STORES, examples, existing
from sweep.cli.root import main
from sweep.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from sweep.report import ReportFiles
    from sweep.store import Store

_RELOAD = 15  # seconds after which a page of a running sweep loads itself again, at least


@main.command(section="Look", short_help="Write tables and figures.", epilog=examples(
    "sweep report",
    "sweep report results s3://bucket/sweeps --out figures",
    "sweep report --sweep cifar10",
    "sweep report --html   # one page to pass around: results/reports/all/report.html",
    "sweep report --html --watch   # while a sweep runs",
    "sweep report --width 3.3in --methods force,snip,random --no-title",
    "sweep report --at 99%,99.5% --all-layers",
    "sweep report --equivalence 1",
    "sweep report --latex   # tables.tex and macros.tex for a paper",
))  # fmt: skip
@STORES
@click.option("--sweep", "name", help="Only the trials of the sweep of this name.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for the files  [default: STORE/reports/SWEEP]")
@click.option("--width", metavar="LENGTH", help="Width of every figure, as it is printed: 3.3in, 84mm, 8.4cm or 240pt.")
@click.option("--methods", metavar="NAMES", help="Draw only these methods, and dense: force,snip. Tables have all.")
@click.option(
    "--at", metavar="SPARSITIES", help="Draw figures of one sparsity at these: 99%,99.5%.  [default: the highest]"
)
@click.option("--all-layers", is_flag=True, help="Draw the density by layer at every sparsity.")
@click.option("--no-title", is_flag=True, help="Draw figures without titles, for papers that have captions.")
@click.option("--html", is_flag=True, help="Also write report.html: one file with verdicts, figures and all trials.")
@click.option("--watch", is_flag=True, help="Write the report again whenever trials have ended, until all have.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="With --watch: look at the store this often.  [default: 10]",
)
@click.option(
    "--equivalence",
    metavar="POINTS",
    type=click.FloatRange(0, 100, min_open=True),
    default=0.5,
    show_default=True,
    help="Call two methods equivalent within ± this many percentage points of accuracy.",
)
@click.option("--latex", is_flag=True, help="Also write tables.tex and macros.tex (one a number) for a paper.")
@AS_JSON
def report(
    stores: tuple[str, ...],
    name: str | None,
    out: str | None,
    width: str | None,
    methods: str | None,
    at: str | None,
    all_layers: bool,
    no_title: bool,
    html: bool,
    watch: bool,
    every: float | None,
    equivalence: float,
    latex: bool,
    as_json: bool,
) -> None:
    """Tables and figures of one or several stores: accuracy against sparsity, density by layer.

    A report needs a completed trial, unless --html is given: the page then says how far the sweep is.
    With --watch: exit code 0 once no trial runs or is missing; 130 after Ctrl-C, the report stays.
    """
    from sweep.cli.print import reports
    from sweep.cli.print.console import make_console
    from sweep.report import report_folder, write_report
    from sweep.report.options import ReportOptions, read_methods, read_sparsities, read_width
    from sweep.store import Store

    if every is not None and not watch:
        raise InputError("--every SECONDS says how often --watch looks at the store: give both, or neither")
    options = ReportOptions(
        width_inches=read_width(width) if width is not None else None,
        methods=read_methods(methods) if methods is not None else (),
        at=read_sparsities(at) if at is not None else (),
        title=not no_title,
        all_layers=all_layers,
        equivalence=equivalence / 100,
        latex=latex,
    )
    opened = [existing(uri) if html or watch else Store(uri) for uri in stores or ("results",)]
    folder = Path(out) if out else report_folder(opened[0], name or "all")
    write = partial(write_report, opened, folder, sweep=name, options=options, html=html)
    files = _watched(opened, name, every, write, make_console(to_stderr=as_json), html) if watch else write()
    for damaged, reason in {path: why for store in opened for path, why in store.damaged.items()}.items():
        click.echo(f"skipped, cannot read {damaged}: {reason}", err=True)
    if as_json:
        click.echo(json.dumps([str(path) for path in files.all]))
    else:
        reports.report(make_console(), files)


def _watched(
    stores: Sequence["Store"],
    name: str | None,
    every: float | None,
    write: Callable[..., "ReportFiles"],
    out: "Console",
    html: bool,
) -> "ReportFiles":
    """Write the report whenever trials have ended; returns the files of the last one."""
    from sweep.cli.print import watching
    from sweep.report.new_outcomes import SECONDS, watch
    from sweep.report.page import stop_reloading

    seconds = SECONDS if every is None else every
    watching.begins(out, stores, seconds)
    files = None
    try:
        for change in watch(stores, name, seconds, on_error=partial(watching.unreachable, out)):
            watching.change(out, change)
            if change.progress.completed or html:
                files = write(reload_seconds=None if change.progress.is_over else math.ceil(max(seconds, _RELOAD)))
                watching.written(out, files)
    except KeyboardInterrupt:
        watching.stopped(out, files)
        if files is not None and files.page is not None:
            stop_reloading(files.page)
        raise
    return write() if files is None else files
