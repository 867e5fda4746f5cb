"""Descriptions, which MLflow shows above a run and an experiment: Markdown, from the records alone."""

from collections.abc import Sequence

from sweep.records import COMPLETED, TrialRecord
from sweep.text import clock, one_line, percent, redacted
from sweep.tracking.trial_run import LAYERS
from sweep.tracking.views import Link

LAYERS_MISSING = f"MLflow did not take its file `{LAYERS}`; `sweep sync` tries again."


def of_trial(record: TrialRecord, layers: bool | None) -> str:
    """What came of a trial, how much was pruned, what it cost, and how to see more.

    Args:
        record: the outcome.
        layers: whether the file :data:`LAYERS` is among the run's; None if the trial has no masks.
    """
    file = {True: f"Density by layer: `{LAYERS}` among the artifacts.", False: LAYERS_MISSING, None: ""}[layers]
    parts = [_result(record), _mask(record), _cost(record), file, f"All of it: `sweep trial show {record.trial_id}`."]
    return redacted(" ".join(part for part in parts if part))


def lacks_layers(text: str) -> bool:
    """Whether a description says that the run lacks the file :data:`LAYERS`."""
    return LAYERS_MISSING in text


def of_sweep_run(sweep: str) -> str:
    """Of the run of a sweep itself."""
    return f"Config, figures and tables of the sweep {sweep}. Each of its trials is a run of its own."


def of_experiment(sweep: str, links: Sequence[Link]) -> str:
    """Of a sweep's experiment: links to its views."""
    return f"The trials of the sweep {sweep}: " + ", ".join(f"[{link.title}]({link.address})" for link in links)


def _result(record: TrialRecord) -> str:
    if record.status != COMPLETED:
        error = f": {one_line(f'{record.error_type}: {record.error_message}', 300)}" if record.error_type else ""
        return f"**{record.status}** after {record.epochs} epochs{error}. Again: `sweep retry {record.trial_id}`."
    if record.test_accuracy is None:
        return f"**completed** after {record.epochs} epochs."
    return f"**{100 * record.test_accuracy:.2f}% test accuracy** after {record.epochs} epochs."


def _mask(record: TrialRecord) -> str:
    if record.prunable is None or record.kept is None:
        return f"{percent(record.sparsity)} sparsity asked for."
    effective = record.effective_sparsity
    on_paths = "" if effective is None else f" ({100 * effective:.2f}% with those cut off from input or output)"
    removed = record.prunable - record.kept
    return f"{removed:,} of {record.prunable:,} prunable weights removed{on_paths}."


def _cost(record: TrialRecord) -> str:
    if record.seconds is None:
        return ""
    pruning = "" if record.prune_seconds is None else f", {clock(record.prune_seconds)} of it pruning"
    place = " on ".join(part for part in (record.device, record.host) if part)
    return f"{clock(record.seconds)}{pruning}{f', on {place}' if place else ''}."
