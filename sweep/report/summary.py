"""summary.md: what was run, what came out, what it cost, what went wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sweep.records import COMPLETED, STATUSES, TrialRecord
from sweep.report.figures.frame import span
from sweep.report.measures import (
    END_CAPTION,
    MOVED_CAPTION,
    PRICE_CAPTION,
    START_CAPTION,
    end_table,
    moved,
    price_table,
    start_table,
)
from sweep.report.names import architecture_name, data_name, figure_name, method_name
from sweep.report.remarks import remarks_section
from sweep.report.statistics import chance_limit, is_in_pieces, labels
from sweep.report.tables import (
    CAPTION,
    PAIRED_CAPTION,
    SANITY_CAPTION,
    Table,
    accuracy_table,
    paired_table,
    sanity_table,
)
from sweep.report.trials import Panel
from sweep.text import percent

_FIGURES = {  # kind -> what it shows; "accuracy" is the panel's own
    "sanity": "Methods and their controls",
    "price": "Accuracy against training FLOPs",
    "layers": "Density by layer",
    "rounds": "Round by round",
}
_ROUNDS_CAPTION = (
    "Means over completed runs of the methods with more than one round. The FORCE objective is that of the mask a "
    "round starts from, on the round's batches."
)
_REFERENCES = ("random", "snip")  # what methods are paired with: the first of them that was run


def summary(panels: Sequence[Panel], figures: Sequence[Mapping[str, str]], sweep: str | None = None) -> str:
    """The report as Markdown.

    Args:
        panels: what there is to tell.
        figures: for each panel the file names of its PNGs by kind, relative to the summary.
        sweep: the heading; by default the names of the sweeps that ran the trials first.
    """
    trials = [trial for panel in panels for trial in panel.trials]
    heading = sweep or ", ".join(sorted({trial.sweep for trial in trials if trial.sweep})) or "Sweep"
    parts = [f"# {heading}", f"Trials: {_tally(trials)}."]
    for panel, images in zip(panels, figures, strict=True):
        parts += _panel(panel, images)
    return "\n\n".join(part for part in [*parts, *remarks_section(trials), *_losses(trials)] if part) + "\n"


def _panel(panel: Panel, figures: Mapping[str, str]) -> list[str]:
    """One panel: accuracy, sanity checks, price, masks, rounds; without what there is nothing to say of."""
    images = {kind: f"![{panel.title}: {what}]({figures[kind]})" for kind, what in _FIGURES.items() if kind in figures}
    parts = [f"## {panel.title}", _what_was_run(panel)]
    if "accuracy" in figures:
        parts.append(f"![{panel.title}]({figures['accuracy']})")
    parts += [CAPTION, accuracy_table(panel).markdown()]
    reference = next((name for name in _REFERENCES if name in labels(panel.cells)), None)
    if reference is not None and (differences := paired_table(panel, reference)).rows:
        parts += [PAIRED_CAPTION, differences.markdown()]
    parts += _section("Sanity checks", SANITY_CAPTION, sanity_table(panel), images.get("sanity"))
    parts += _section("Price", PRICE_CAPTION, price_table(panel), images.get("price"))
    parts += _section("Masks", START_CAPTION, start_table(panel), images.get("layers"))
    parts += _section("After training", MOVED_CAPTION if moved(panel) else END_CAPTION, end_table(panel))
    if "rounds" in images:
        parts += ["### Rounds", images["rounds"], _ROUNDS_CAPTION]
    return [*parts, *_cut_names(panel)] if figures else parts


def _cut_names(panel: Panel) -> list[str]:
    """The names of methods that the figures show the beginnings of, in full; nothing where they show all."""
    names = {figure_name(label): method_name(label) for label in labels(panel.cells)}
    cut = [f"- {shown}: {name}" for shown, name in names.items() if shown != name]
    return ["### Names that the figures cut", "\n".join(cut)] if cut else []


def _section(heading: str, caption: str, table: Table, image: str | None = None) -> list[str]:
    """A heading and what stands under it; nothing where there is neither image nor table."""
    told = [caption, table.markdown()] if table.rows else []
    under = [*([image] if image else []), *told]
    return [f"### {heading}", *under] if under else []


def _tally(trials: Iterable[TrialRecord]) -> str:
    """``63 completed, 2 failed``."""
    counts = Counter(trial.status for trial in trials)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])


def _what_was_run(panel: Panel) -> str:
    """A list: data, network, training, seeds, where."""
    done = [trial for trial in panel.trials if trial.status == COMPLETED]
    facts = {
        "data": data_name(panel.data, panel.encoding),
        "network": architecture_name(panel.architecture) + _prunable(done),
        "epochs": _epochs(panel.epochs, {trial.epochs for trial in done}),
        "setting": panel.setting,
        "seeds": _listed(trial.seed for trial in done),
        "trials": _tally(panel.trials),
        "device": _listed(trial.device for trial in done if trial.device),
        "commit": _listed(f"{t.git_commit}{' (dirty)' if t.git_dirty else ''}" for t in done if t.git_commit),
    }
    if panel.classes:
        limit = percent(round(chance_limit(panel.classes), 5))
        facts["chance"] = f"{percent(round(1 / panel.classes, 5))}; a run counts as at chance up to {limit}"
    pieces = [trial for trial in done if is_in_pieces(trial)]
    if pieces:
        facts["**in pieces**"] = (
            f"{len(pieces)} runs took each batch in pieces, since it had no room in the memory: where a network has"
            " BatchNorm, its statistics are those of smaller batches than in the other runs"
        )
    copies = {trial.data_fingerprint for trial in done if trial.data_fingerprint}
    if len(copies) > 1:
        facts["**not alike**"] = f"these trials saw {len(copies)} different copies of the data"
    return "\n".join(f"- {name}: {text}" for name, text in facts.items() if text)


def _prunable(done: Sequence[TrialRecord]) -> str:
    """``, 270,896 prunable weights``, and their share of all weights where there are others."""
    weights = " or ".join(f"{count:,}" for count in sorted({t.prunable for t in done if t.prunable}))
    share = min((t.prunable_share for t in done if t.prunable_share is not None), default=1.0)
    of_all = f", {percent(round(share, 5))} of all its weights" if share < 1 else ""
    return f", {weights} prunable weights{of_all}" if weights else ""


def _epochs(asked: int | None, trained: set[int]) -> str:
    """``5``; ``5 a training, 5 to 30 in all`` where a method trains more than once."""
    if asked is None or max(trained, default=0) <= asked:
        return _listed(trained)
    return f"{asked} a training, {span(trained)} in all"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in sorted(set(values), key=lambda v: (str(type(v)), v)))


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
