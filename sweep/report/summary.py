"""``summary.md``: for each panel what was run, its tables and its figures; then remarks and trials without a result."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from sweep.records import COMPLETED, STATUSES, TrialRecord
from sweep.report.analysis import Analysis, PanelAnalysis
from sweep.report.cells import chance_limit, is_in_pieces, labels
from sweep.report.comparison_tables import best_table, differences_table, reference_table, sanity_table
from sweep.report.conflict_text import outcome_text, provenance_text, result_text
from sweep.report.figures import FIGURES, WrittenFigure
from sweep.report.names import architecture_name, data_name, figure_name, method_name
from sweep.report.overview_tables import aggregate_table, thresholds_table
from sweep.report.plan_sentences import HEADING
from sweep.report.record_page import mask_remarks
from sweep.report.reported_trial import in_conflict, other_results
from sweep.report.table import Table
from sweep.report.tables import accuracy_table, cost_table, end_table, interval_table, span, start_table
from sweep.report.trials import Panel
from sweep.text import percent


class Section(NamedTuple):
    """A part of a panel with tables; the figures whose ``section`` is this heading stand above them."""

    heading: str
    tables: Callable[[PanelAnalysis], Sequence[Table]]


def _main_tables(one: PanelAnalysis) -> Sequence[Table]:
    return accuracy_table(one.panel, one.comparisons), differences_table(one.comparisons)


SECTIONS = (  # figures of other sections follow, under headings of their own
    Section("", _main_tables),
    Section("Intervals", lambda one: [interval_table(one.panel)]),
    Section("Comparisons", lambda one: [reference_table(one.comparisons), best_table(one.comparisons)]),
    Section("How far each method can be pruned", lambda one: [thresholds_table(one.panel, one.thresholds)]),
    Section("Sanity checks", lambda one: [sanity_table(one.comparisons)]),
    Section("Cost", lambda one: [cost_table(one.panel)]),
    Section("Masks", lambda one: [start_table(one.panel)]),
    Section("After training", lambda one: [end_table(one.panel)]),
)

CONFLICTS = "Trials with several results"
REMARKS = "Masks that scores alone did not decide"


def summary(
    analysis: Analysis,
    figures: Sequence[Sequence[WrittenFigure]],
    sweep: str | None = None,
    plan: Sequence[str] = (),
) -> str:
    """The report as Markdown.

    Args:
        analysis: of all panels, in order.
        figures: for each panel those that were drawn, in the folder of the summary.
        sweep: the heading; by default the names of the sweeps that ran the trials first.
        plan: sentences on how far their plans were off.
    """
    trials = [trial for one in analysis.panels for trial in one.panel.trials]
    heading = sweep or ", ".join(sorted({trial.sweep for trial in trials if trial.sweep})) or "Sweep"
    parts = [f"# {heading}", f"Trials: {_tally(trials)}."]
    for one, drawn in zip(analysis.panels, figures, strict=True):
        parts += _panel(one, drawn)
    if analysis.aggregate is not None:
        parts += ["## Over all cells", *_explained(aggregate_table(analysis.aggregate))]
    parts += [f"## {HEADING}", *_listing(plan)] if plan else []
    parts += [*remarks_section(trials), *_conflicts(trials), *_without_result(trials)]
    return "\n\n".join(part for part in parts if part) + "\n"


def panel_tables(one: PanelAnalysis) -> Iterator[tuple[str, Table]]:
    """The tables of a panel that have rows or notes, each with the heading of its section."""
    for section in SECTIONS:
        for table in section.tables(one):
            if table.rows or table.notes:
                yield section.heading, table


def _panel(one: PanelAnalysis, drawn: Sequence[WrittenFigure]) -> list[str]:
    """One panel; sections without a table and a figure are left out."""
    panel, tables = one.panel, list(panel_tables(one))
    recipe = "\n".join(f"- {name}: {text}" for name, text in what_was_run(panel).items())
    parts = [f"## {panel.title}", recipe]
    for section in SECTIONS:
        explained = [part for heading, table in tables if heading == section.heading for part in _explained(table)]
        parts += _section(section.heading, [*_images(panel, drawn, section.heading), *explained])
    with_table = {section.heading for section in SECTIONS}
    for heading in dict.fromkeys(figure.section for figure in FIGURES if figure.section not in with_table):
        parts += _section(heading, _images(panel, drawn, heading))
    return [*parts, *_section("Names that the figures cut", _listing(cut_names(panel)))] if drawn else parts


def _explained(table: Table) -> list[str]:
    return [table.caption, table.markdown()]


def _images(panel: Panel, drawn: Sequence[WrittenFigure], section: str) -> list[str]:
    """The figures of a section that were drawn, those of one kind with its note below."""
    parts = []
    for kind in FIGURES:
        of_kind = [figure for figure in drawn if figure.kind == kind and kind.section == section]
        for figure in of_kind:
            shows = f": {figure.description}" if figure.description else ""
            parts.append(f"![{panel.title}{shows}]({figure.paths[0].name})")
        parts += [kind.note] if of_kind and kind.note else []
    return parts


def _section(heading: str, parts: Sequence[str]) -> list[str]:
    return [*([f"### {heading}"] if heading else []), *parts] if parts else []


def cut_names(panel: Panel) -> list[str]:
    """``short: full`` for every method whose name the figures shorten."""
    names = {figure_name(label): method_name(label) for label in labels(panel.cells)}
    return [f"{short}: {name}" for short, name in names.items() if short != name]


def _listing(lines: Sequence[str]) -> list[str]:
    """A list in Markdown; nothing where there is none."""
    return ["\n".join(f"- {line}" for line in lines)] if lines else []


def _tally(trials: Iterable[TrialRecord]) -> str:
    """``63 completed, 2 failed``."""
    counts = Counter(trial.status for trial in trials)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])


def what_was_run(panel: Panel) -> dict[str, str]:
    """Name -> text: data, network, training, seeds, where."""
    done = [trial for trial in panel.trials if trial.status == COMPLETED]
    lines = {
        "data": data_name(panel.data, panel.encoding, panel.train),
        "network": architecture_name(panel.architecture) + _prunable(done),
        "epochs": _epochs(panel.epochs, {trial.epochs for trial in done}),
        "setting": panel.setting,
        "seeds": _listed(trial.seed for trial in done),
        "trials": _tally(panel.trials),
        "cluster": _listed(trial.cluster for trial in done if trial.cluster),
        "device": _listed(trial.device for trial in done if trial.device),
        "commit": _listed(f"{t.git_commit}{' (dirty)' if t.git_dirty else ''}" for t in done if t.git_commit),
        "chance": _chance(panel.classes),
        "**in pieces**": _in_pieces(done),
        "**in conflict**": _in_conflict(done),
        "**not alike**": _copies(done),
    }
    return {name: text for name, text in lines.items() if text}


def _chance(classes: int | None) -> str:
    if not classes:
        return ""
    limit = percent(round(chance_limit(classes), 5))
    return f"{percent(round(1 / classes, 5))}; a run counts as at chance up to {limit}"


def _in_pieces(done: Sequence[TrialRecord]) -> str:
    count = sum(map(is_in_pieces, done))
    if not count:
        return ""
    return (
        f"{count} runs took each batch in pieces, since it had no room in the memory: where a network has"
        " BatchNorm, its statistics are those of smaller batches than in the other runs"
    )


def _in_conflict(done: Sequence[TrialRecord]) -> str:
    count = len(in_conflict(done))
    if not count:
        return ""
    ran = "1 run" if count == 1 else f"{count} runs"
    return f"{ran} completed with several results; the one written last counts, see {CONFLICTS!r}"


def _copies(done: Sequence[TrialRecord]) -> str:
    copies = {trial.data_fingerprint for trial in done if trial.data_fingerprint}
    return f"these trials saw {len(copies)} different copies of the data" if len(copies) > 1 else ""


def _prunable(done: Sequence[TrialRecord]) -> str:
    """``, 270,896 prunable weights``, and their share of all weights where there are others."""
    weights = " or ".join(f"{count:,}" for count in sorted({t.prunable for t in done if t.prunable}))
    share = min((t.prunable_share for t in done if t.prunable_share is not None), default=1.0)
    of_all = f", {percent(round(share, 5))} of all its weights" if share < 1 else ""
    return f", {weights} prunable weights{of_all}" if weights else ""


def _epochs(configured: int | None, trained: set[int]) -> str:
    """``5``; ``5 a training, 5 to 30 in all`` where a method trains more than once."""
    if configured is None or max(trained, default=0) <= configured:
        return _listed(trained)
    return f"{configured} a training, {span(trained)} in all"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in sorted(set(values), key=lambda v: (str(type(v)), v)))


def remarks_section(trials: Iterable[TrialRecord]) -> list[str]:
    """A heading and the lines of :func:`remarks_by_method`; nothing where there are none."""
    lines = _listing(remarks_by_method(trials))
    return [f"## {REMARKS}", *lines] if lines else []


def remarks_by_method(trials: Iterable[TrialRecord]) -> list[str]:
    """One line for each method with remarks on a completed trial's mask."""
    groups = defaultdict[tuple[str, str], list[TrialRecord]](list)
    for trial in trials:
        if trial.status == COMPLETED and mask_remarks(trial):
            groups[trial.architecture_label, trial.method_label].append(trial)
    return [_remark(members) for members in groups.values()]


def _remark(trials: Sequence[TrialRecord]) -> str:
    first = min(trials, key=lambda trial: (trial.sparsity, trial.seed))
    name = f"{first.architecture_label} {first.method_label}"
    remarks = "; ".join(mask_remarks(first))
    return f"{name}: {len(trials)} trials; at {percent(first.sparsity)}, seed {first.seed}: {remarks}"


def _conflicts(trials: Iterable[TrialRecord]) -> list[str]:
    """A heading and every trial with several results; nothing where there is none."""
    lines = _listing(conflict_lines(trials))
    return [f"## {CONFLICTS}", *lines] if lines else []


def conflict_lines(trials: Iterable[TrialRecord]) -> list[str]:
    """One line for each other result of a trial: both accuracies, and what differs in where and how they came about."""
    return [
        f"{trial.title} ({trial.trial_id}): counts {outcome_text(vars(trial))}; other result {outcome_text(other)}; "
        f"differs in {result_text(vars(trial), other)}; came about with "
        f"{provenance_text(vars(trial), other) or 'nothing that is recorded'}"
        for trial in in_conflict(trials)
        for other in other_results(trial)
    ]


def _without_result(trials: Sequence[TrialRecord]) -> list[str]:
    """Trials that did not complete, by status and cause; nothing where all did."""
    groups = defaultdict[str, list[TrialRecord]](list)
    for trial in trials:
        if trial.status != COMPLETED:
            cause = f": {trial.error_type}: {_first_line(trial.error_message)}" if trial.error_type else ""
            groups[f"{trial.status}{cause}"].append(trial)
    if not groups:
        return []
    lines = [f"- {len(members)} {cause} ({_titles(members)})" for cause, members in sorted(groups.items())]
    return ["## Trials without a result", "\n".join(lines)]


def _titles(trials: Sequence[TrialRecord], most: int = 3) -> str:
    """The first few as ``resnet20 force 99.5% s0``."""
    names = [t.title for t in trials[:most]]
    return "; ".join(names) + (f"; {len(trials) - most} more" if len(trials) > most else "")


def _first_line(text: str | None, most: int = 160) -> str:
    line = (text or "").partition("\n")[0]
    return line if len(line) <= most else f"{line[: most - 1]}…"
