"""From panels, figures and sweeps to the content of the page."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sweep.records import COMPLETED, SweepRecord, TrialRecord
from sweep.report.analysis import Analysis
from sweep.report.cells import is_collapsed
from sweep.report.figures import WrittenFigure
from sweep.report.overview_tables import aggregate_table
from sweep.report.page import cost, provenance
from sweep.report.page.failed_trials import failed_trials
from sweep.report.page.page import Page
from sweep.report.page.panel_section import panel_sections
from sweep.report.page.trial_rows import as_json, trial_columns
from sweep.report.plan_sentences import plan_sentences
from sweep.report.progress import Progress
from sweep.report.summary import conflict_lines, remarks_by_method
from sweep.report.trials import Panel


class Origin(NamedTuple):
    """Where the trials of a page come from.

    Attributes:
        heading: the sweep's name, or the names of the sweeps.
        stores: their names.
        sweeps: as they were launched last.
        progress: of all their trials.
        reload_seconds: after these a page of a running sweep loads itself again; None: never.
    """

    heading: str
    stores: Sequence[str]
    sweeps: Sequence[SweepRecord]
    progress: Progress
    reload_seconds: int | None = None


def page_of(analysis: Analysis, figures: Sequence[Sequence[WrittenFigure]], origin: Origin) -> Page:
    """The content of the page.

    Args:
        analysis: of all panels, in order; they may have no completed trial, or there may be none.
        figures: those of each panel.
        origin: where the trials come from.
    """
    panels = [one.panel for one in analysis.panels]
    trials = [trial for panel in panels for trial in panel.trials]
    with_result = [pair for pair in zip(analysis.panels, figures, strict=True) if _has_result(pair[0].panel)]
    columns = trial_columns(panels) if trials else []
    now = datetime.now(UTC)
    failures = failed_trials(trials, origin.stores[0])
    return Page(
        heading=origin.heading,
        lead=_lead(trials, origin.progress),
        written=f"Written {provenance.moment(now)} from {', '.join(origin.stores)}.",
        reload_seconds=origin.reload_seconds,
        tiles=_tiles(trials, origin.progress),
        panels=panel_sections(with_result),
        over_cells=None if analysis.aggregate is None else aggregate_table(analysis.aggregate),
        mask_remarks=remarks_by_method(trials),
        conflicts=conflict_lines(trials),
        nothing=_nothing(origin.progress),
        columns=columns,
        trial_data=as_json(columns),
        failures=failures,
        no_failures="Every trial that has ended has a result." if trials else "No trial has ended.",
        cost=cost.cost_by_method(panels),
        plan=plan_sentences(origin.sweeps, trials),
        facts=provenance.facts(panels, origin.stores, now),
        configs=provenance.configs(origin.sweeps),
    )


def _has_result(panel: Panel) -> bool:
    return any(cell.completed for cell in panel.cells)


def _lead(trials: Sequence[TrialRecord], progress: Progress) -> str:
    """``6 methods, 4 sparsities, 5 seeds: 105 completed.``"""
    if not trials:
        return f"{progress.text.capitalize()}."
    axes: dict[str, set[Any]] = {
        "method": {trial.method_label for trial in trials},
        "sparsity": {trial.sparsity for trial in trials if trial.method != "dense"},
        "seed": {trial.seed for trial in trials},
    }
    counts = [_counted(len(values), name) for name, values in axes.items() if values]
    return f"{', '.join(counts)}: {progress.text}."


def _counted(number: int, name: str) -> str:
    plural = "sparsities" if name == "sparsity" else f"{name}s"
    return f"{number:,} {name if number == 1 else plural}"


def _tiles(trials: Sequence[TrialRecord], progress: Progress) -> dict[str, str]:
    total, done = len(progress.statuses), progress.completed
    seconds = cost.total(trials, "seconds")
    tiles = {"completed": f"{done:,} of {total:,}"}
    if done:
        tiles["of these at chance"] = f"{sum(map(_is_at_chance, trials)):,}"
    without = sum(1 for trial in trials if trial.status != COMPLETED)
    tiles["without a result"] = f"{without:,}"
    if seconds is not None:
        tiles["time of all trials"] = cost.duration(seconds)
    if (flops := cost.total(trials, "training_flops")) is not None:
        tiles["training FLOPs"] = f"{flops:.3g}"
    return tiles


def _is_at_chance(trial: TrialRecord) -> bool:
    return trial.status == COMPLETED and is_collapsed(trial)


def _nothing(progress: Progress) -> str:
    return (
        f"No trial has completed yet: {progress.text}. Tables, figures and comparisons appear here with the first"
        " completed trial, when the report is written again."
    )


def sweeps_of(records: Iterable[SweepRecord], trials: Mapping[str, object], name: str | None) -> list[SweepRecord]:
    """The sweeps of this name, or those that planned one of these trials; each once, as it was launched last."""
    latest: dict[str, SweepRecord] = {}
    for record in records:
        wanted = record.name == name if name else any(trial in trials for trial in record.trials)
        if wanted and (record.name not in latest or record.launched > latest[record.name].launched):
            latest[record.name] = record
    return list(latest.values())
