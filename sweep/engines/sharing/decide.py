"""What a launch does about ``gpus_per_trial: auto``: look up, measure, decide, tell."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.engines.sharing import kept
from sweep.engines.sharing.probe import Answer, Request
from sweep.engines.sharing.rule import Sharing, sharing
from sweep.engines.sharing.subjects import subjects
from sweep.store import Store

logger = logging.getLogger("sweep.engines.sharing")


def decide(
    sweep: SweepConfig,
    trials: Sequence[TrialConfig],
    store: Store,
    measure: Callable[[Sequence[Request]], Iterable[Answer]],
    preparing: Callable[[str], None] = lambda text: None,
) -> dict[str, Sharing]:
    """How many trials share a GPU, by label of the architecture; a line for each that was answered is logged.

    Where there are several kinds of GPUs, the one on which fewest trials fit decides: a trial may run on any of them.
    An architecture that cannot be measured gets a GPU for each of its trials.

    Args:
        sweep: the sweep.
        trials: those that are to run; only their architectures are measured.
        store: where measurements are kept.
        measure: runs :func:`sweep.engines.sharing.probe.probe` on every kind of GPU.
        preparing: is told where something has to be measured, which takes a while.
    """
    asked = {each.label: each for each in subjects(sweep, [trial.architecture.label for trial in trials])}
    requests = [Request(subject, kept.load(store, subject)) for subject in asked.values()]
    if any(not request.known for request in requests):
        preparing("measuring how many trials share a GPU")
    answers: dict[str, list[Answer]] = {label: [] for label in asked}
    for answer in measure(requests):
        answers[answer.label].append(answer)
        if answer.use is not None and answer.is_new:
            kept.save(store, asked[answer.label], answer.use)
    decided = {label: _fewest(found, sweep.compute.mps) for label, found in answers.items()}
    for line in lines({label: found for label, found in decided.items() if answers[label]}):
        logger.warning(line)
    return decided


def known(sweep: SweepConfig, store: Store) -> dict[str, Sharing | None]:
    """What :func:`decide` would decide by what the store knows, on whatever GPUs it was measured; None: nothing."""
    return {
        subject.label: _fewest([Answer(subject.label, use) for use in uses], sweep.compute.mps) if uses else None
        for subject in subjects(sweep)
        for uses in [kept.load(store, subject)]
    }


def lines(decided: Mapping[str, Sharing]) -> list[str]:
    """What was decided, a line for each architecture."""
    return [
        f"{label}: {f'{found.trials} trials share a GPU' if found.trials > 1 else 'one trial a GPU'}: {found.reason}"
        for label, found in decided.items()
    ]


def _fewest(answers: Sequence[Answer], mps: bool) -> Sharing:
    found = [_one(answer, mps) for answer in answers]
    return min(found, key=lambda sharing: sharing.trials, default=Sharing(1, "it was not measured"))


def _one(answer: Answer, mps: bool) -> Sharing:
    if answer.use is None:
        return Sharing(1, f"it could not be measured: {answer.error}")
    found = sharing(answer.use, mps)
    return found._replace(reason=f"on {answer.use.card} {found.reason}")
