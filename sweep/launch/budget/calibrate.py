"""``sweep plan --calibrate``: pieces of the plan's trials are timed, and kept in the store."""

from collections import defaultdict
from collections.abc import Sequence

from rich.console import Console

from sweep.config.grid import title
from sweep.config.trial_config import TrialConfig
from sweep.engines.processes.calibrating import time_trials
from sweep.errors import InputError
from sweep.launch.budget import calibrations
from sweep.launch.budget.likeness import of_trial
from sweep.launch.plan import Plan
from sweep.launch.preflight import data_errors
from sweep.store import Store
from sweep.text import count, percent
from sweep.trial.timing import Timing
from sweep.trial.work import Kind

SECONDS = 60.0  # of measuring; the last pieces end after them


def calibrate(planned: Plan, store: Store, console: Console) -> None:
    """Time pieces of a trial of each kind that is left to run, in turn, and keep that in the store.

    Args:
        planned: the plan.
        store: where it is kept.
        console: is told how often each kind was timed, and what could not be.

    Raises:
        InputError: the data is missing, this machine lacks what a trial needs, or no trial could be timed.
        StoreError: the store is full or unreachable.
    """
    trials = representatives(list(planned.todo.values()))
    if not trials:
        return
    store.check_writable()
    timings: dict[Kind, list[Timing]] = defaultdict(list)
    failed: dict[Kind, str] = {}
    with data_errors():
        for timed in time_trials(planned.sweep, trials, store, SECONDS, lambda text: _say(console, f"{text} …")):
            if isinstance(timed.result, str):
                failed[Kind.of(timed.trial)] = timed.result
                _say(console, f"{title(timed.trial)}: could not be timed: {timed.result}")
            else:
                timings[Kind.of(timed.trial)].append(timed.result)
    if not timings:
        raise InputError(f"--calibrate: no trial could be timed: {next(iter(failed.values()), 'no time was left')}")
    _keep(store, trials, timings)
    for kind, found in timings.items():
        _say(console, f"{kind.architecture} {kind.method} {percent(kind.sparsity)}: timed {count(len(found), 'time')}")
    if missing := len(trials) - len(timings) - len(failed.keys() - timings.keys()):
        _say(console, f"for {missing} of {len(trials)} kinds there was no time: like ones stand in for them")


def representatives(trials: Sequence[TrialConfig]) -> list[TrialConfig]:
    """One trial of each kind: of every method one first, at its middle sparsity; then the others from the lowest on."""
    by_method: dict[tuple[str, str], dict[Kind, TrialConfig]] = defaultdict(dict)
    for trial in trials:
        kind = Kind.of(trial)
        by_method[kind.architecture, kind.method].setdefault(kind, trial)
    queues = []
    for kinds in by_method.values():
        queue = sorted(kinds.values(), key=lambda trial: trial.sparsity)
        queues.append([queue.pop(len(queue) // 2), *queue])
    longest = max(map(len, queues), default=0)
    return [queue[place] for place in range(longest) for queue in queues if place < len(queue)]


def _keep(store: Store, trials: Sequence[TrialConfig], timings: dict[Kind, list[Timing]]) -> None:
    steps = {trial.architecture.label: of_trial(trial).step for trial in trials}
    for label, step in steps.items():
        if found := [timing for kind, of_kind in timings.items() if kind.architecture == label for timing in of_kind]:
            calibrations.save(store, step, found)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
