"""The trials without a result, by kind of failure and by error, for the page."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweep.failures import FailureGroup, group
from sweep.records import TrialRecord
from sweep.text import one_line, redacted, store_option

_MOST_ERRORS = 5  # different ones of a kind
_MOST_TITLES = 3  # trials that are named with an error
_LONGEST_TRACEBACK = 6000  # characters


@dataclass(frozen=True)
class Error:
    """One error, or the lack of one.

    Attributes:
        message: its type and message; the status where there is none.
        trials: the trials that ended with it, as text.
        traceback: of the last of them; empty where it has none.
    """

    message: str
    count: int
    trials: str
    traceback: str


@dataclass(frozen=True)
class FailedTrials:
    """The trials with one kind of failure: how to fix it, and the command that runs them again.

    Attributes:
        errors: the most frequent ones.
        others: number of trials with other errors than these.
    """

    kind: str
    count: int
    fix: str
    command: str
    errors: tuple[Error, ...]
    others: int


def failed_trials(trials: Iterable[TrialRecord], store: str) -> list[FailedTrials]:
    """Those of ``trials`` that did not complete, by kind of failure.

    Args:
        trials: of any status.
        store: its name, for the commands.
    """
    return [_of_kind(members, store) for members in group(trials)]


def _of_kind(members: FailureGroup, store: str) -> FailedTrials:
    by_message: dict[str, list[TrialRecord]] = {}
    for trial in members.trials:
        by_message.setdefault(_message(trial), []).append(trial)
    frequent = sorted(by_message.items(), key=lambda item: (-len(item[1]), item[0]))
    option = store_option(store)
    return FailedTrials(
        kind=members.kind.name,
        count=len(members.trials),
        fix=members.kind.fix.replace("show ID", f"show {members.example.trial_id}{option}"),
        command=f"sweep retry --kind {shlex.quote(members.kind.name)}{option}",
        errors=tuple(_error(message, trials) for message, trials in frequent[:_MOST_ERRORS]),
        others=sum(len(trials) for _, trials in frequent[_MOST_ERRORS:]),
    )


def _message(trial: TrialRecord) -> str:
    if not trial.error_type:
        return trial.status
    return one_line(redacted(f"{trial.error_type}: {trial.error_message or ''}"))


def _error(message: str, trials: Sequence[TrialRecord]) -> Error:
    titles = [trial.title for trial in trials[:_MOST_TITLES]]
    more = [f"{len(trials) - _MOST_TITLES:,} more"] if len(trials) > _MOST_TITLES else []
    traceback = redacted((trials[-1].traceback or "").strip())
    return Error(message, len(trials), "; ".join([*titles, *more]), traceback[-_LONGEST_TRACEBACK:])
