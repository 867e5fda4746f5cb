"""The command ``sweep report``."""

import json
from pathlib import Path

import click

from sweep.cli.common import AS_JSON, STORES, examples
from sweep.cli.root import main


@main.command(epilog=examples(
    "sweep report",
    "sweep report results s3://bucket/sweeps --out figures",
    "sweep report --sweep cifar10",
    "sweep report --methods force,snip,random --no-title",
    "sweep report --at 99%,99.5% --all-layers",
))  # fmt: skip
@STORES
@click.option("--sweep", "name", help="Only the trials of the sweep of this name.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for the files  [default: STORE/reports/SWEEP]")
@click.option("--methods", metavar="NAMES", help="Draw only these methods, and dense: force,snip. Tables have all.")
@click.option(
    "--at", metavar="SPARSITIES", help="Draw figures of one sparsity at these: 99%,99.5%.  [default: the highest]"
)
@click.option("--all-layers", is_flag=True, help="Draw the density by layer at every sparsity.")
@click.option("--no-title", is_flag=True, help="Draw figures without titles, for papers that have captions.")
@AS_JSON
def report(
    stores: tuple[str, ...],
    name: str | None,
    out: str | None,
    methods: str | None,
    at: str | None,
    all_layers: bool,
    no_title: bool,
    as_json: bool,
) -> None:
    """Tables and figures of one or several stores: accuracy against sparsity, density by layer."""
    from sweep.cli.print import reports
    from sweep.cli.print.console import make_console
    from sweep.report import report_folder, write_report
    from sweep.report.options import ReportOptions, read_methods, read_sparsities
    from sweep.store import Store

    options = ReportOptions(
        methods=read_methods(methods) if methods is not None else (),
        at=read_sparsities(at) if at is not None else (),
        title=not no_title,
        all_layers=all_layers,
    )
    opened = [Store(uri) for uri in stores or ("results",)]
    folder = Path(out) if out else report_folder(opened[0], name or "all")
    files = write_report(opened, folder, sweep=name, options=options)
    for damaged, reason in {path: why for store in opened for path, why in store.damaged.items()}.items():
        click.echo(f"skipped, cannot read {damaged}: {reason}", err=True)
    if as_json:
        click.echo(json.dumps([str(path) for path in files.all]))
    else:
        reports.report(make_console(), files)
