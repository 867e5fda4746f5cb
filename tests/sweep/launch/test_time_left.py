"""The time left: simulated schedules, hand arithmetic, and how it is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.launch.pace import Ended, Pace, Running, makespan, seconds_left
from sweep.launch.progress.time_left import TimeLeft, rounded
from sweep.trial.stage import EPOCH, ROUND, Stage
from sweep.trial.work import Kind, Size, Work, expected

from ...conftest import make_outcome
from ..small import DIGITS

SIZE = Size(images=1000, macs=10_000)
SEEN = SIZE[:2]  # what a running trial tells of it
RATE = 2e6  # multiply-accumulates a second: an epoch takes 5 s
SETTINGS = [
    "grid.method=[dense, snip, {name: force, rounds: 60}]", "grid.sparsity=0.9,0.99", "grid.seed=0,1,2",
    "training.epochs=20", "pruning.batch_size=100",
]  # fmt: skip
Seconds = Callable[[TrialConfig], tuple[float, float]]  # of pruning and of training


@dataclass
class Simulated:
    """A trial that runs in a simulation."""

    trial: TrialConfig
    name: str
    start: float
    pruning: float
    training: float

    def stage(self, now: float) -> Stage:
        elapsed = now - self.start
        if elapsed < self.pruning:
            rounds = 60
            return Stage(self.name, ROUND, 1 + int(rounds * elapsed / self.pruning), rounds, 0.0, *SEEN)
        epoch, share = divmod(20 * (elapsed - self.pruning) / self.training, 1)
        return Stage(self.name, EPOCH, 1 + int(epoch), 20, share, *SEEN)

    def is_over(self, now: float) -> bool:
        return now >= self.start + self.pruning + self.training


def as_expected(trial: TrialConfig) -> tuple[float, float]:
    work = expected(trial, SIZE)
    return work.pruning / RATE, work.training / RATE


def trials() -> dict[str, TrialConfig]:
    return {trial_id(trial): trial for trial in expand(read_sweep(DIGITS, SETTINGS))}


def simulate(seconds: Seconds, slots: int, todo: dict[str, TrialConfig]) -> Iterator[tuple[float, float | None]]:
    """Each second, what the time left is told to be, until all trials have ended."""
    left, waiting, running, now = TimeLeft(todo), list(todo.items()), [], 0.0
    while waiting or running:
        for trial in [trial for trial in running if trial.is_over(now)]:
            running.remove(trial)
            took = now - trial.start
            record = make_outcome(trial.name, seconds=took, prune_seconds=trial.pruning, train_seconds=trial.training)
            left.finished(replace(record.trial, attempts=1), now)
        while waiting and len(running) < slots:
            name, trial = waiting.pop(0)
            running.append(Simulated(trial, name, now, *seconds(trial)))
            left.started(trial, now)
        for trial in running:
            left.stage(trial.stage(now), now)
        yield now, left.seconds(now)
        now += 1.0


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_it_is_right_from_the_first_percent_on_and_never_rises_while_trials_run_as_expected(slots):
    told = list(simulate(as_expected, slots, trials()))
    end = told[-1][0]
    known = [(now, seconds) for now, seconds in told if seconds is not None]
    assert known[0][0] <= 3, "after one percent of a training of 100 seconds"
    assert all(seconds == pytest.approx(end - now, abs=0.03 * end + 3) for now, seconds in known)
    assert all(later <= earlier for (_, earlier), (_, later) in pairwise(known))


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize(
    ("method", "factor"),
    [("dense", 0.75), ("dense", 1.3), ("snip", 0.4), ("snip", 1.3), ("force", 0.4), ("force", 1.3)],
)  # removed channels make a sparse training faster than its operations say
def test_it_does_not_rise_where_a_methods_operations_take_another_time_than_others(method, factor, slots):
    def seconds(trial: TrialConfig) -> tuple[float, float]:
        pruning, training = as_expected(trial)
        return pruning, training * (factor if trial.method.name == method else 1)

    told = [value for _, value in simulate(seconds, slots, trials()) if value is not None]
    assert all(later <= earlier for earlier, later in pairwise(told))
    assert told[-1] < 6


def test_a_failure_may_raise_it_and_slowness_beyond_expectation_does():
    todo = trials()
    left, first = TimeLeft(todo), next(iter(todo.values()))
    left.started(first, 0.0)
    left.stage(Stage(trial_id(first), EPOCH, 1, 20, 0.0, *SEEN), 0.0)
    left.stage(Stage(trial_id(first), EPOCH, 11, 20, 0.0, *SEEN), 50.0)
    before = left.seconds(50.0)
    assert before is not None
    left.stage(Stage(trial_id(first), EPOCH, 11, 20, 0.1, *SEEN), 60.0)
    assert left.seconds(60.0) <= before, "a little slower is no news"
    left.stage(Stage(trial_id(first), EPOCH, 11, 20, 0.2, *SEEN), 400.0)
    assert left.seconds(400.0) > 1.5 * before, "four hundred seconds for half of it"


def test_nothing_is_told_before_something_trains():
    todo = trials()
    left, force = TimeLeft(todo), next(trial for trial in todo.values() if trial.method.name == "force")
    assert left.seconds(0.0) is None
    left.started(force, 0.0)
    for second in range(30):
        left.stage(Stage(trial_id(force), ROUND, 1 + 2 * second, 60, 0.0, *SEEN), float(second))
        assert left.seconds(float(second)) is None


def test_a_trial_that_goes_on_from_a_checkpoint_counts_what_is_left_of_it():
    [(name, trial), *_] = trials().items()
    left = TimeLeft({name: trial})
    left.started(trial, 0.0)
    left.stage(Stage(name, EPOCH, 16, 20, 0.0, *SEEN), 1.0)
    left.stage(Stage(name, EPOCH, 17, 20, 0.0, *SEEN), 6.0)
    assert left.seconds(6.0) == pytest.approx(20.0), "four epochs of five seconds"


def test_an_engine_that_tells_epochs_alone_is_enough():
    [(name, trial), *_] = trials().items()
    left = TimeLeft({name: trial})
    left.started(trial, 0.0)
    for epoch in (1, 2, 3):
        left.epoch(replace(make_outcome(name).epochs[0], epoch=epoch), 5.0 * epoch)
    assert left.seconds(15.0) == pytest.approx(17 * 5.0)


def test_waiting_trials_start_where_a_slot_is_free_first():
    assert makespan([], [], 1) == 0
    assert makespan([5.0], [], 4) == 5
    assert makespan([5.0, 1.0], [3.0, 3.0, 3.0], 2) == 8  # 1 + 3 + 3 beside 5 + 3
    assert makespan([], [4.0, 4.0, 4.0], 2) == 8


def test_seconds_are_taken_of_the_same_kind_else_of_the_method_else_of_the_network():
    snip, dense, other = Kind("net", "snip", 0.9), Kind("net", "dense", 0.0), Kind("net", "snip", 0.99)
    works = {snip: Work(0.0, 100.0), dense: Work(0.0, 100.0), other: Work(0.0, 200.0)}
    pace = Pace.of({snip: Ended(2, 30.0, 0.0, 20.0), dense: Ended(1, 55.0, 0.0, 50.0)}, [], works)
    assert pace.seconds(snip, works[snip]) == 15
    assert pace.other == (10 + 5) / 3
    assert pace.seconds(other, works[other]) == 2 * 10 + 5, "ten seconds a hundred, and what else a trial takes"
    force = Kind("net", "force", 0.9)
    assert pace.seconds(force, Work(0.0, 300.0)) == pytest.approx(300 * 70 / 300 + 5)
    assert pace.seconds(Kind("another", "force", 0.9), Work(0.0, 30.0)) == pytest.approx(7 + 5)


def test_the_rounds_of_a_running_pruning_tell_how_long_it_still_takes():
    kind, work = Kind("net", "force", 0.9), Work(100.0, 100.0)
    pace = Pace.of({Kind("net", "dense", 0.0): Ended(1, 40.0, 0.0, 40.0)}, [], {Kind("net", "dense", 0.0): work})
    running = Running(kind, work, pruned=0.5, seconds=10.0, since=2.0)
    # as training, it would take 40 s, and at its own speed 20: half of 30 are left, less 2 s, and 40 s of training
    assert pace.rest(running) == pytest.approx(0.5 * 30 - 2 + 40)
    assert seconds_left(pace, [running], [(kind, work)], slots=1) == pytest.approx(53 + 80)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than a minute"),
        (60, "less than a minute"),
        (61, "about 2 min"),
        (540, "about 9 min"),
        (601, "about 15 min"),
        (3600, "about 1 h"),
        (3601, "about 1 h 15 min"),
        (6 * 3600, "about 6 h"),
        (6 * 3600 + 1, "about 7 h"),
        (48 * 3600, "about 2 days"),
        (49.5 * 3600, "about 2 days 2 h"),
    ],
)
def test_it_is_rounded_up_and_more_coarsely_the_longer_it_is(seconds, text):
    assert rounded(seconds) == text
