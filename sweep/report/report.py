"""write_report: from stores to files that can be put into a README."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow as pa

from sweep.errors import InputError
from sweep.records import TrialRecord
from sweep.report import latex
from sweep.report.analysis import Analysis, analyse
from sweep.report.csv_rows import SUMMARY_HEADER, panel_rows, to_csv, write_trials
from sweep.report.display_names import display_names
from sweep.report.figures import FIGURES, Stored, WrittenFigure, curves, overlap, style
from sweep.report.figures.stored_masks import StoredMasks
from sweep.report.figures.stored_records import StoredRecords
from sweep.report.folder import remove_outdated
from sweep.report.names import named
from sweep.report.options import DEFAULT, ReportOptions
from sweep.report.plan_sentences import plan_sentences
from sweep.report.reported_trial import other_results
from sweep.report.statistics_rows import (
    COMPARISONS,
    OVER_CELLS,
    THRESHOLDS,
    comparison_rows,
    over_cells_rows,
    threshold_rows,
)
from sweep.report.summary import summary
from sweep.report.table import Table
from sweep.report.terminal_tables import terminal_tables
from sweep.report.trials import Panel, StoredRows, panels, planned_trials, read
from sweep.store import Store
from sweep.store.merged_sweeps import merged_sweeps

_TRIALS_CSV = [  # without a nested column, and without one of many lines
    field.name for field in fields(TrialRecord) if field.name not in ("rounds", "traceback")
]


@dataclass(frozen=True)
class ReportFiles:
    """The files written, and the tables for a terminal.

    Attributes:
        figures: as PNG and SVG.
        statistics: ``comparisons.csv``, ``thresholds.csv`` and ``over_cells.csv``.
        latex: ``tables.tex`` and ``macros.tex``, if they were asked for.
        page: ``report.html``; None unless it was asked for.
    """

    figures: tuple[Path, ...]
    summary: Path
    summary_csv: Path
    trials_csv: Path
    statistics: tuple[Path, ...]
    tables: tuple[Table, ...]
    latex: tuple[Path, ...] = ()
    page: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file."""
        page = () if self.page is None else (self.page,)
        return (*page, *self.figures, self.summary, self.summary_csv, *self.statistics, self.trials_csv, *self.latex)


def write_report(
    stores: Sequence[Store],
    out: Path,
    *,
    sweep: str | None = None,
    only: Collection[str] | None = None,
    options: ReportOptions = DEFAULT,
    html: bool = False,
    reload_seconds: int | None = None,
) -> ReportFiles:
    """Write tables and figures of all trials in the stores; a trial that is in several counts once.

    Args:
        stores: where the trials are.
        out: a folder, created if it is missing; files of the same name are replaced, and figures of an earlier report
            that are no longer drawn are removed.
        sweep: only the trials of this sweep (:mod:`sweep.store.sweeps`); its name is the heading of the summary.
        only: only these trial ids, instead.
        options: which methods and sparsities the figures show, and how. Tables and CSV always have all.
        html: also write ``report.html``, one page with all of it. Then trials may all be running, failed or missing:
            the page says so.
        reload_seconds: after these the page loads itself again; None: never.

    Raises:
        InputError: no completed trial (without ``html``), no sweep of this name, none of what ``options`` names, or
            ``out`` is a file; nothing is written.
    """
    tables = [store.trials() for store in stores]
    sources = read(stores, sweep, only, tables, require_completed=not html)
    merged = merged_sweeps(record for store in stores for record in store.sweeps())
    records = [record for name, record in merged.items() if sweep in (None, name)]
    with named(display_names(records, [trial for _, trials in sources for trial in trials])):
        all_panels = panels((trial for _, trials in sources for trial in trials), planned_trials(records))
        if all_panels:
            options.check(all_panels)
        stored = _stored(tables, sources, all_panels)
        analysis = analyse(all_panels, options.equivalence)
        _make_folder(out)
        stems = _stems(all_panels)
        draw = partial(_draw, stored=stored, options=options, out=out)
        drawn = [draw(panel, stem) for panel, stem in zip(all_panels, stems, strict=True)]
        files = ReportFiles(
            figures=tuple(path for figures in drawn for figure in figures for path in figure.paths),
            summary=out / "summary.md",
            summary_csv=out / "summary.csv",
            trials_csv=out / "trials.csv",
            statistics=_write_statistics(analysis, out),
            latex=_write_latex(analysis, stems, out) if options.latex else (),
            tables=tuple(terminal_tables(analysis)),
            page=out / "report.html" if html else None,
        )
        all_trials = [trial for panel in all_panels for trial in panel.trials]
        text = summary(analysis, drawn, sweep, plan_sentences(records, all_trials))
        files.summary.write_text(text, encoding="utf-8")
        rows = [row for one in analysis.panels for row in panel_rows(one.panel, one.comparisons)]
        files.summary_csv.write_text(to_csv(rows, SUMMARY_HEADER), encoding="utf-8")
        counts = pa.array([len(other_results(trial)) for trial in all_trials], pa.int64())
        rows_of_trials = stored.rows.of(all_trials, _TRIALS_CSV).append_column("other_results", counts)
        write_trials(rows_of_trials, files.trials_csv)
        if files.page is not None:
            from sweep.report.page import PageSource, write_page  # imports jinja2, which other reports do without

            write_page(files.page, analysis, drawn, PageSource(stores, tables, sweep, only), reload_seconds)
        remove_outdated(out, "report", (path for path in files.all if path != files.page))  # a page says of when it is
        return files


def _write_statistics(analysis: Analysis, out: Path) -> tuple[Path, ...]:
    texts = {
        "comparisons.csv": to_csv(comparison_rows(analysis), COMPARISONS),
        "thresholds.csv": to_csv(threshold_rows(analysis), THRESHOLDS),
        "over_cells.csv": to_csv(over_cells_rows(analysis.aggregate), OVER_CELLS),
    }
    return _write(texts, out)


def _write_latex(analysis: Analysis, stems: Sequence[str], out: Path) -> tuple[Path, ...]:
    return _write({"tables.tex": latex.tables(analysis, stems), "macros.tex": latex.macros(analysis, stems)}, out)


def _write(texts: Mapping[str, str], out: Path) -> tuple[Path, ...]:
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return tuple(out / name for name in texts)


def _stored(
    tables: Sequence[pa.Table], sources: Sequence[tuple[Store, Sequence[TrialRecord]]], all_panels: Sequence[Panel]
) -> Stored:
    """What the figures read of the stores besides the trials."""
    return Stored(
        StoredRows(tables, sources),
        StoredMasks(sources, all_panels),
        StoredRecords(sources, all_panels, overlap.read_bits, overlap.chosen),
        StoredRecords(sources, all_panels, lambda store, ids: store.epochs(ids), curves.chosen),
    )


def _make_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"report: {out} is a file; name a folder to write to")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"report: cannot write to {out}: {error}; name another folder with --out") from None


def _stems(all_panels: Sequence[Panel]) -> list[str]:
    """A file name for each panel; panels whose names are equal as file names get numbers."""
    names = [panel.file_name for panel in all_panels]
    counts, number = Counter(names), defaultdict[str, "count[int]"](lambda: count(1))
    return [name if counts[name] == 1 else f"{name}-{next(number[name])}" for name in names]


def _draw(panel: Panel, stem: str, stored: Stored, options: ReportOptions, out: Path) -> list[WrittenFigure]:
    """Write the figures that the panel has numbers for."""
    selected = options.selected(panel)
    if not any(cell.completed for cell in selected.cells):
        return []
    written = []
    for kind in FIGURES:
        for drawing in kind.draw(panel if kind.every_method else selected, stored, options):
            name = "-".join(filter(None, (kind.name, stem, drawing.suffix)))
            paths = style.save(drawing.figure, out / name, _conflicts_note(selected))
            written.append(WrittenFigure(kind, drawing.shows, tuple(paths)))
    return written


def _conflicts_note(panel: Panel) -> str:
    """What a figure says of runs with several results; empty where there are none."""
    count = sum(len(cell.in_conflict) for cell in panel.cells)
    return f"{count} run{'' if count == 1 else 's'} of this panel in conflict: see summary.md" if count else ""
