"""write_report: from stores to files that can be put into a README."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from sweep.errors import InputError
from sweep.records import TrialRecord, table
from sweep.report import style
from sweep.report.figure import accuracy_figure
from sweep.report.layers import MASK_COLUMNS, layers_figure
from sweep.report.price import price_figure
from sweep.report.rounds import rounds_figure
from sweep.report.rows import panel_rows, to_csv
from sweep.report.sanity import sanity_figure
from sweep.report.statistics import cells, sparsities
from sweep.report.summary import summary
from sweep.report.table import Table, accuracy_table
from sweep.report.trials import Panel, panels, read
from sweep.store import Store
from sweep.text import percent


@dataclass(frozen=True)
class ReportFiles:
    """What was written: figures as PNG and SVG, ``summary.md``, ``summary.csv`` and ``trials.csv``; and its tables."""

    figures: tuple[Path, ...]
    summary: Path
    summary_csv: Path
    trials_csv: Path
    tables: tuple[Table, ...]

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return (*self.figures, self.summary, self.summary_csv, self.trials_csv)


def write_report(
    stores: Sequence[Store], out: Path, *, sweep: str | None = None, only: Collection[str] | None = None
) -> ReportFiles:
    """Write tables and figures of all trials in the stores; a trial that lies in several counts once.

    Args:
        stores: where the trials are.
        out: a folder, made if need be; files of the same name are replaced.
        sweep: only trials first run under this name.
        only: only these trial ids (a sweep's whole grid, whoever ran it first).

    Raises:
        InputError: no completed trial, or ``out`` is a file; nothing is written.
    """
    sources = read(stores, sweep, only)
    found = panels(trial for _, trials in sources for trial in trials)
    masks = [store.masks([t.trial_id for t in trials], MASK_COLUMNS) for store, trials in sources]
    if out.exists() and not out.is_dir():
        raise InputError(f"report: {out} is a file; name a folder to write to")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"report: cannot write to {out}: {error}; name another folder with --out") from None
    figures = [
        _draw(panel, stem, pa.concat_tables(masks), out) for panel, stem in zip(found, _stems(found), strict=True)
    ]
    images = [{kind: paths[0].name for kind, paths in drawn.items()} for drawn in figures]
    files = ReportFiles(
        figures=tuple(path for drawn in figures for paths in drawn.values() for path in paths),
        summary=out / "summary.md",
        summary_csv=out / "summary.csv",
        trials_csv=out / "trials.csv",
        tables=tuple(accuracy_table(panel) for panel in found),
    )
    files.summary.write_text(summary(found, images), encoding="utf-8")
    rows = [row for panel in found for row in panel_rows(panel)]
    files.summary_csv.write_text(to_csv(rows), encoding="utf-8")
    _write_trials([trial for panel in found for trial in panel.trials], files.trials_csv)
    return files


def _stems(found: Sequence[Panel]) -> list[str]:
    """A file name for each panel; panels that differ only in what no file name can hold get numbers."""
    names = [panel.file_name for panel in found]
    return [n if names.count(n) == 1 else f"{n}-{1 + names[:i].count(n)}" for i, n in enumerate(names)]


def _draw(panel: Panel, stem: str, masks: pa.Table, out: Path) -> dict[str, list[Path]]:
    """Write a panel's figures, those it has the numbers for: kind -> files."""
    done = [cell for cell in cells(panel) if cell.completed]
    if not done:
        return {}
    found = {f"accuracy-{stem}": accuracy_figure(panel), f"price-{stem}": price_figure(panel)}
    found[f"sanity-{stem}"] = sanity_figure(panel)
    for sparsity in reversed(sparsities(done)):
        if (figure := layers_figure(panel, masks, sparsity)) is not None:
            found[f"layers-{stem}-{percent(sparsity).rstrip('%')}"] = figure
            break
    found[f"rounds-{stem}"] = rounds_figure(panel)
    return {
        name.partition("-")[0]: style.save(figure, out / name) for name, figure in found.items() if figure is not None
    }


def _write_trials(trials: Sequence[TrialRecord], path: Path) -> None:
    """One row a trial; without what is no plain column (rounds) or many lines long (traceback)."""
    rows = table(TrialRecord, trials).drop_columns(["rounds", "traceback"])
    pyarrow.csv.write_csv(rows, path)
