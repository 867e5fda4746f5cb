"""summary.md: what was run, what came out, what it cost, what went wrong."""

from collections import Counter
from collections.abc import Iterable, Sequence

from sweep.records import COMPLETED, STATUSES, TrialRecord
from sweep.report.names import architecture_name, data_name, measured_sparsity, method_name
from sweep.report.statistics import Cell, cells, chance_limit, labels
from sweep.report.table import CAPTION, PAIRED_CAPTION, Entry, Table, accuracy_table, paired_table
from sweep.report.trials import Panel
from sweep.text import percent

_PRICE_CAPTION = (
    "Means over completed runs. Effective sparsity counts weights that are cut off from input or output as "
    "removed; MACs are multiply-accumulates for one image, in percent of the dense network's; a pass is "
    "forward and backward over one batch."
)
_PRICE = {  # column of the record -> heading; sparsities and MACs stand before them
    "empty_layers": "empty layers",
    "gradient_norm": "gradient norm",
    "force_objective": "FORCE objective",
    "revived": "revived",
    "prune_seconds": "prune s",
    "prune_passes": "passes",
}
_REFERENCES = ("random", "snip")  # what methods are paired with: the first of them that was run


def summary(panels: Sequence[Panel], figures: Sequence[Sequence[str]]) -> str:
    """The report as Markdown.

    Args:
        panels: what there is to tell.
        figures: for each panel the file names of its PNGs, relative to the summary.
    """
    trials = [trial for panel in panels for trial in panel.trials]
    sweeps = ", ".join(sorted({trial.sweep for trial in trials if trial.sweep}))
    parts = [f"# {sweeps or 'Sweep'}", f"Trials: {_tally(trials)}."]
    for panel, images in zip(panels, figures, strict=True):
        parts += _panel(panel, images)
    return "\n\n".join(part for part in [*parts, *_losses(trials)] if part) + "\n"


def _panel(panel: Panel, figures: Sequence[str]) -> list[str]:
    images = [f"![{panel.title}]({name})" for name in figures]
    parts = [
        f"## {panel.title}",
        _what_was_run(panel),
        *images[:1],
        CAPTION,
        accuracy_table(panel).markdown(),
    ]
    reference = next((name for name in _REFERENCES if name in labels(cells(panel))), None)
    if reference is not None and len(labels(cells(panel))) > 1:
        parts += [PAIRED_CAPTION, paired_table(panel, reference).markdown()]
    return [*parts, "### Masks and their price", *images[1:], _PRICE_CAPTION, price_table(panel).markdown()]


def _tally(trials: Iterable[TrialRecord]) -> str:
    """``63 completed, 2 failed``."""
    counts = Counter(trial.status for trial in trials)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])


def _what_was_run(panel: Panel) -> str:
    """A list: data, network, training, seeds, where."""
    done = [trial for trial in panel.trials if trial.status == COMPLETED]
    weights = " or ".join(f"{count:,}" for count in sorted({t.prunable for t in done if t.prunable}))
    facts = {
        "data": data_name(panel.data, panel.encoding),
        "network": architecture_name(panel.architecture) + (f", {weights} prunable weights" if weights else ""),
        "epochs": _listed(trial.epochs for trial in done),
        "setting": panel.setting,
        "seeds": _listed(trial.seed for trial in done),
        "trials": _tally(panel.trials),
        "device": _listed(trial.device for trial in done if trial.device),
        "commit": _listed(f"{t.git_commit}{' (dirty)' if t.git_dirty else ''}" for t in done if t.git_commit),
    }
    if panel.classes:
        limit = percent(round(chance_limit(panel.classes), 5))
        facts["chance"] = f"{percent(round(1 / panel.classes, 5))}; a run counts as at chance up to {limit}"
    copies = {trial.data_fingerprint for trial in done if trial.data_fingerprint}
    if len(copies) > 1:
        facts["**not alike**"] = f"these trials saw {len(copies)} different copies of the data"
    return "\n".join(f"- {name}: {text}" for name, text in facts.items() if text)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in sorted(set(values), key=lambda v: (str(type(v)), v)))


def price_table(panel: Panel) -> Table:
    """One row a method and sparsity: what the masks are, and what finding them cost."""
    header = ("method", "sparsity", "achieved", "effective", "MACs", *_PRICE.values())
    rows = [_price(cell) for cell in cells(panel) if cell.completed and cell.method != "dense"]
    return Table(panel.title, (), header, tuple(tuple(map(Entry, row)) for row in rows))


def _price(cell: Cell) -> tuple[str, ...]:
    measured = [cell.average(column) for column in ("achieved_sparsity", "effective_sparsity")]
    dense, kept = cell.average("macs_dense"), cell.average("macs_kept")
    return (
        method_name(cell.method_label),
        percent(cell.sparsity),
        *("–" if sparsity is None else measured_sparsity(sparsity) for sparsity in measured),
        f"{100 * kept / dense:.2g}%" if dense and kept is not None else "–",
        *(_number(cell.average(column)) for column in _PRICE),
    )


def _number(value: float | None) -> str:
    """Three digits, or the whole number with its thousands marked."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _losses(trials: Sequence[TrialRecord]) -> list[str]:
    """Trials without a result, by status and cause; nothing where there are none."""
    lost = [trial for trial in trials if trial.status != COMPLETED]
    if not lost:
        return []
    groups: dict[str, list[TrialRecord]] = {}
    for trial in lost:
        cause = f": {trial.error_type}: {_first_line(trial.error_message)}" if trial.error_type else ""
        groups.setdefault(f"{trial.status}{cause}", []).append(trial)
    lines = [f"- {len(group)} {cause} ({_where(group)})" for cause, group in sorted(groups.items())]
    return ["## Trials without a result", "\n".join(lines)]


def _where(group: Sequence[TrialRecord], most: int = 3) -> str:
    """The first few as ``force 99.5% s0``."""
    names = [f"{t.architecture_label} {t.method_label} {percent(t.sparsity)} s{t.seed}" for t in group[:most]]
    return "; ".join(names) + (f"; {len(group) - most} more" if len(group) > most else "")


def _first_line(text: str | None, most: int = 160) -> str:
    line = (text or "").partition("\n")[0]
    return line if len(line) <= most else f"{line[: most - 1]}…"
