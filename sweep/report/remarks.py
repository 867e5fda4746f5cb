"""What the masks of trials owe to something else than scores: equal scores, or rounding."""

from collections import defaultdict
from collections.abc import Iterable

from sweep.records import COMPLETED, TrialRecord
from sweep.text import percent


def trial_remarks(record: TrialRecord) -> list[str]:
    """Sentences about one trial's masks; none where scores decided."""
    if not record.tied_kept and not record.unconserved_layers:
        return []
    from pruning.remarks import remarks  # imports torch, which a report of other masks does without

    return list(remarks(record.kept, record.tied_kept, record.tied_candidates, record.unconserved_layers))


def remarks_section(trials: Iterable[TrialRecord]) -> list[str]:
    """A heading and a line for each method of which a completed trial has remarks; nothing where none has."""
    groups = defaultdict[tuple[str, str], list[TrialRecord]](list)
    for trial in trials:
        if trial.status == COMPLETED and trial_remarks(trial):
            groups[trial.architecture_label, trial.method_label].append(trial)
    if not groups:
        return []
    return ["## Masks that scores alone did not decide", "\n".join(map(_line, groups.values()))]


def _line(group: list[TrialRecord]) -> str:
    first = min(group, key=lambda trial: (trial.sparsity, trial.seed))
    where = f"{first.architecture_label} {first.method_label}"
    said = "; ".join(trial_remarks(first))
    return f"- {where}: {len(group)} trials; at {percent(first.sparsity)}, seed {first.seed}: {said}"
