"""write_report: from stores to files that can be put into a README."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path

from sweep.errors import InputError
from sweep.records import TrialRecord
from sweep.report.csv_rows import panel_rows, to_csv, write_trials
from sweep.report.figures import style
from sweep.report.figures.accuracy import accuracy_figure
from sweep.report.figures.cost import price_figure
from sweep.report.figures.layers import StoredMasks
from sweep.report.figures.rounds import rounds_figure, with_rounds
from sweep.report.figures.sanity import sanity_figure
from sweep.report.manifest import keep_only
from sweep.report.summary import summary
from sweep.report.tables import Table, accuracy_table
from sweep.report.trials import Panel, StoredRows, panels, read
from sweep.store import Store
from sweep.text import percent

_IN_CSV = [  # but what is no plain column, or many lines long
    field.name for field in fields(TrialRecord) if field.name not in ("rounds", "traceback")
]


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
        out: a folder, made if need be; files of the same name are replaced, and figures of an earlier report that
            are no longer drawn are removed.
        sweep: only the trials of this sweep (:mod:`sweep.store.sweeps`); the summary is headed by its name.
        only: only these trial ids, instead.

    Raises:
        InputError: no completed trial, or ``out`` is a file; nothing is written.
    """
    tables = [store.trials() for store in stores]
    sources = read(stores, sweep, only, tables)
    found = panels(trial for _, trials in sources for trial in trials)
    rows, masks = StoredRows(tables, sources), StoredMasks(sources, found)
    if out.exists() and not out.is_dir():
        raise InputError(f"report: {out} is a file; name a folder to write to")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"report: cannot write to {out}: {error}; name another folder with --out") from None
    figures = [_draw(panel, stem, rows, masks, out) for panel, stem in zip(found, _stems(found), strict=True)]
    images = [{kind: paths[0].name for kind, paths in drawn.items()} for drawn in figures]
    files = ReportFiles(
        figures=tuple(path for drawn in figures for paths in drawn.values() for path in paths),
        summary=out / "summary.md",
        summary_csv=out / "summary.csv",
        trials_csv=out / "trials.csv",
        tables=tuple(accuracy_table(panel) for panel in found),
    )
    files.summary.write_text(summary(found, images, sweep), encoding="utf-8")
    cell_rows = [row for panel in found for row in panel_rows(panel)]
    files.summary_csv.write_text(to_csv(cell_rows), encoding="utf-8")
    trials = [trial for panel in found for trial in panel.trials]
    write_trials(rows.of(trials, _IN_CSV), files.trials_csv)
    keep_only(out, "report", files.all)
    return files


def _stems(found: Sequence[Panel]) -> list[str]:
    """A file name for each panel; panels that differ only in what no file name can hold get numbers."""
    names = [panel.file_name for panel in found]
    counts, number = Counter(names), defaultdict[str, "count[int]"](lambda: count(1))
    return [name if counts[name] == 1 else f"{name}-{next(number[name])}" for name in names]


def _draw(panel: Panel, stem: str, rows: StoredRows, masks: StoredMasks, out: Path) -> dict[str, list[Path]]:
    """Write a panel's figures, those it has the numbers for: kind -> files."""
    if not any(cell.completed for cell in panel.cells):
        return {}
    found = {f"accuracy-{stem}": accuracy_figure(panel), f"price-{stem}": price_figure(panel)}
    found[f"sanity-{stem}"] = sanity_figure(panel)
    if (layers := masks.figure(panel)) is not None:
        found[f"layers-{stem}-{percent(layers[0]).rstrip('%')}"] = layers[1]
    found[f"rounds-{stem}"] = rounds_figure(with_rounds(panel, rows))
    return {
        name.partition("-")[0]: style.save(figure, out / name) for name, figure in found.items() if figure is not None
    }
