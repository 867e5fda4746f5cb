"""write_page: from panels and stores to ``report.html``."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from sweep.report.analysis import Analysis
from sweep.report.figures import WrittenFigure
from sweep.report.page.content import Origin, page_of, sweeps_of
from sweep.report.page.page import html
from sweep.report.progress import progress
from sweep.store import Store
from sweep.store.merged_sweeps import merged_sweeps


class PageSource(NamedTuple):
    """What the trials of a page were read from.

    Attributes:
        stores: where the trials are.
        tables: the trials of each store.
        sweep: only the trials of this sweep.
        only: only these trial ids, instead.
    """

    stores: Sequence[Store]
    tables: Sequence[pa.Table]
    sweep: str | None = None
    only: Collection[str] | None = None


def write_page(
    path: Path,
    analysis: Analysis,
    figures: Sequence[Sequence[WrittenFigure]],
    source: PageSource,
    reload_seconds: int | None = None,
) -> None:
    """Write the page in one step, so that a browser that loads it meanwhile sees the old or the new one.

    Args:
        path: of the page; the files of the figures are beside it.
        analysis: the panels with their statistics.
        figures: those of each panel.
        source: what the trials were read from.
        reload_seconds: after these the page loads itself again; None: never.
    """
    records = list(merged_sweeps(record for store in source.stores for record in store.sweeps()).values())
    state = progress(source.stores, source.tables, records, source.sweep, source.only)
    sweeps = sweeps_of(records, state.statuses, source.sweep)
    ran = {trial.sweep for one in analysis.panels for trial in one.panel.trials if trial.sweep}
    heading = source.sweep or ", ".join(sorted({record.name for record in sweeps} | ran)) or "Sweep"
    origin = Origin(heading, [store.name for store in source.stores], sweeps, state, reload_seconds)
    _replace(path, html(page_of(analysis, figures, origin)))


def stop_reloading(path: Path) -> None:
    """Take out of a page what makes it load itself again."""
    before, _, rest = path.read_text(encoding="utf-8").partition("<!-- reload -->")
    _, _, after = rest.partition("<!-- end of reload -->")
    if after:
        _replace(path, before + after)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
