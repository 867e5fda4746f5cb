"""Reports and verdicts."""

from collections.abc import Sequence

from rich.console import Console

from sweep.cli.print.console import Row
from sweep.report import ReportFiles
from sweep.report.terminal import render
from sweep.reproduce import Reproduction, Verdict, VerdictFiles, tables, tally, verdict_rows


def report(out: Console, files: ReportFiles) -> None:
    """The tables of a report, and its files."""
    for table in files.tables:
        out.print(render(table), "")
    for path in files.all:
        out.print(str(path), markup=False, soft_wrap=True)


def verdicts_json(asked: Reproduction, found: Sequence[Verdict], files: VerdictFiles) -> Row:
    """Verdicts and files, in plain values."""
    return {
        "sweep": asked.sweep.name,
        "in_order": all(verdict.in_order for verdict in found),
        "left_out": asked.left_out,
        "rows": verdict_rows(found, asked.sweep.training.epochs),
        "files": [str(path) for path in files.all],
    }


def verdicts(out: Console, asked: Reproduction, found: Sequence[Verdict], files: VerdictFiles) -> None:
    """Verdicts as tables, and the files."""
    for table in tables(found, asked.sweep.training.epochs):
        out.print(render(table), "")
    if asked.left_out:
        out.print(f"left out: {asked.left_out} published rows outside the grid as it was set")
    for path in files.all:
        out.print(str(path), markup=False, soft_wrap=True)
    out.print(f"{asked.sweep.name}: {tally([row for verdict in found for row in verdict.rows])}", style="bold")
