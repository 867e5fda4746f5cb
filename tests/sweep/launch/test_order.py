"""The order in which trials start: seeds, then lengths; hand arithmetic of what the order saves."""

import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.launch.order import longest_first
from sweep.launch.pace import makespan
from sweep.launch.run import run_sweep
from sweep.trial.work import Kind

from ..small import DIGITS

LENGTHS = {"random": 1.0, "snip": 1.1, "force": 6.0}


def sweep(seeds: str) -> dict[str, TrialConfig]:
    settings = ["grid.method=[random, snip, {name: force, rounds: 60}]", "grid.sparsity=0.9", f"grid.seed={seeds}"]
    return {trial_id(trial): trial for trial in expand(read_sweep(DIGITS, settings))}


def lengths(trials: dict[str, TrialConfig]) -> dict[Kind, float]:
    return {Kind.of(trial): LENGTHS[trial.method.name] for trial in trials.values()}


def names(trials: dict[str, TrialConfig]) -> list[tuple[str, int]]:
    return [(trial.method.name, trial.seed) for trial in trials.values()]


def test_seeds_stay_together_and_trials_about_as_long_keep_their_order() -> None:
    trials = sweep("1,0")
    ordered = longest_first(trials, lengths(trials))
    assert names(ordered) == [("force", 1), ("random", 1), ("snip", 1), ("force", 0), ("random", 0), ("snip", 0)]
    assert all(ordered[name] is trial for name, trial in trials.items())


def test_no_machine_waits_for_a_long_trial_that_began_last() -> None:
    trials = sweep("0,1")
    seconds = [
        [LENGTHS[method] for method, _ in names(order)] for order in (trials, longest_first(trials, lengths(trials)))
    ]
    # In the sweep's order on two machines: 1 and 1.1, force 1 to 7, 1 and 1.1 until 3.2, force 3.2 to 9.2
    assert makespan([], seconds[0], 2) == 1.1 + 1 + 1.1 + 6
    # Longest first: force 0 to 6; beside it 1, 1.1, force 2.1 to 8.1; 1 and 1.1 from 6 to 8.1
    assert makespan([], seconds[1], 2) == 1 + 1.1 + 6


def test_a_first_launch_hands_the_trials_with_most_work_to_its_engine_first(tmp_path: Path) -> None:
    settings = ["grid.method=[random, {name: force, rounds: 60}]", "grid.sparsity=0.9", "grid.seed=0,1"]
    sweep = read_sweep(DIGITS, [*settings, f"store={tmp_path / 'store'}", "tracking.enabled=false"])
    handed: list[list[tuple[str, int]]] = []

    def engine(config: object, trials: Sequence[TrialConfig], *rest: object) -> None:
        handed.append([(trial.method.name, trial.seed) for trial in trials])

    run_sweep(sweep, engine, Console(file=io.StringIO()))
    assert handed[0] == [("force", 0), ("random", 0), ("force", 1), ("random", 1)]
