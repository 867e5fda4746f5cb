"""How merging stores ended: what is new, and every trial with several results."""

from collections import Counter
from typing import Any

from rich.console import Console

from sweep.cli.print.console import trial_line
from sweep.report.conflict_text import conflict_values, other_result_lines, outcome_text, provenance_text
from sweep.store.merge_result import CHANGES, Merged
from sweep.text import store_option


def merged(out: Console, result: Merged) -> None:
    """Each conflict with what differs, what was left out, and the counts."""
    for decision in result.conflicts:
        counts = decision.counting.row
        out.print(f"{decision.counting.trial_id} {trial_line(counts)}", style="bold", markup=False, soft_wrap=True)
        out.print(f"  counts: {outcome_text(counts)}", markup=False, soft_wrap=True)
        for line in other_result_lines(counts, [other.row for other in decision.others]):
            out.print(f"  {line}", markup=False, soft_wrap=True)
    for each in result.left_out:
        out.print(f"left out: trial {each.trial_id} of {each.store}: {each.reason}", markup=False, soft_wrap=True)
    for line in _summary(result):
        out.print(line, markup=False, soft_wrap=True)


def merged_json(result: Merged) -> dict[str, Any]:
    """The same in plain values."""
    return {
        "destination": result.destination,
        "sources": result.sources,
        "dry_run": result.is_dry,
        **{change: result.changes[change] for change in CHANGES},
        "same_result": result.same,
        "replaced": result.replaced,
        "conflicts": [conflict_values(decision.counting, decision.others) for decision in result.conflicts],
        "left_out": [each._asdict() for each in result.left_out],
        "sweeps": result.sweeps,
    }


def _summary(result: Merged) -> list[str]:
    sources = ", ".join(f"{count:,} of {name}" for name, count in result.sources.items())
    changes = ", ".join(f"{result.changes[change]:,} {change}" for change in CHANGES)
    would = "would be merged" if result.is_dry else "merged"
    lines = [f"{result.destination}: {sum(result.changes.values()):,} trials {would} ({sources}): {changes}"]
    if result.same:
        lines.append(f"{_outcomes(result.same)} had the same result as another of the trial: one row is kept")
    if result.replaced:
        lines.append(f"{_outcomes(result.replaced)} without a result gave way to another of the trial")
    if result.conflicts:
        lines.append(
            f"{_trials(len(result.conflicts))} completed with several results: the one written last counts, the others"
            f" are kept in conflicts/; see sweep trial show ID{store_option(result.destination)}"
        )
        lines += _causes(result)
    if result.left_out:
        lines.append(f"{_trials(len(result.left_out))} left out, listed above")
    if result.sweeps:
        lines.append(f"sweeps: {', '.join(result.sweeps)}")
    return lines


def _causes(result: Merged) -> list[str]:
    """What differs in the provenance of conflicts, the most frequent first."""
    causes: Counter[str] = Counter()
    for decision in result.conflicts:
        causes.update(
            provenance_text(decision.counting.row, other.row) or "nothing that is recorded" for other in decision.others
        )
    return (
        [f"  {count:,} with {cause}" for cause, count in causes.most_common()]
        if len(causes) < sum(causes.values())
        else []
    )


def _outcomes(count: int) -> str:
    return f"{count:,} outcome{'' if count == 1 else 's'}"


def _trials(count: int) -> str:
    return f"{count:,} trial{'' if count == 1 else 's'}"
