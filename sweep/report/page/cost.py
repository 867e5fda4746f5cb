"""What the trials of a report cost in all, and by method."""

from collections.abc import Iterable, Sequence

from sweep import text
from sweep.records import TrialRecord
from sweep.report.columns import UNKNOWN, number
from sweep.report.names import method_name, method_order
from sweep.report.table import Table, TableEntry
from sweep.report.trials import Panel

_HEADER = ("method", "trials", "time in all", "of it pruning", "time a trial", "training FLOPs", "epochs")
_CAPTION = (
    "Of every trial with a measured time, also of those that failed or diverged. Times are of the trials themselves, "
    "added up: trials that ran side by side took less by the clock. Training FLOPs count pruning and every training, "
    "zeros as free (Evci et al. 2020, appendix H)."
)


def duration(seconds: float | None) -> str:
    """As :func:`sweep.text.duration`; a dash where it is unknown."""
    return UNKNOWN if seconds is None else text.duration(seconds)


def total(trials: Iterable[TrialRecord], field: str) -> float | None:
    """Sum of a field over the trials where it is known; None where it is nowhere known."""
    values = [value for trial in trials if (value := getattr(trial, field)) is not None]
    return sum(values) if values else None


def cost_by_method(panels: Sequence[Panel]) -> Table:
    """One row a method, over all panels and sparsities, and a row for all; no rows where no time is known."""
    groups: dict[str, list[TrialRecord]] = {}
    for panel in panels:
        for trial in panel.trials:
            if trial.seconds is not None:
                groups.setdefault(trial.method_label, []).append(trial)
    rows = [_row(method_name(label), groups[label]) for label in sorted(groups, key=method_order)]
    if len(rows) > 1:
        rows.append(_row("all", [trial for trials in groups.values() for trial in trials]))
    return Table("Cost by method", (), _HEADER, tuple(rows), _CAPTION, "cost-by-method")


def _row(name: str, trials: Sequence[TrialRecord]) -> tuple[TableEntry, ...]:
    seconds, pruning = total(trials, "seconds"), total(trials, "prune_seconds")
    flops, epochs = total(trials, "training_flops"), total(trials, "epochs")
    texts = (
        name,
        f"{len(trials):,}",
        duration(seconds),
        duration(pruning),
        duration(None if seconds is None else seconds / len(trials)),
        UNKNOWN if flops is None else f"{flops:.3g}",
        number(epochs),
    )
    return tuple(map(TableEntry, texts))
