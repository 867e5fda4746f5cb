"""What Tune takes from the queue, in which order trials start, and how many wait where a cluster can see them."""

import pickle
from types import SimpleNamespace

import pytest

pytest.importorskip("ray.tune")

import ray
from ray.tune.search import Searcher

from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.engines import Stop
from sweep.engines.on_ray import driver, scheduler
from sweep.engines.on_ray.trial_queue import TrialQueue

from ..small import DIGITS

pytestmark = pytest.mark.filterwarnings("default")  # Ray and what it imports warn of their own affairs


def test_trials_are_handed_out_in_order_and_once_until_none_is_left() -> None:
    trials = expand(read_sweep(DIGITS, ["grid.method=[snip, random]", "grid.sparsity=0.9", "grid.seed=1,0"]))
    queue = TrialQueue(trials, {"vgg_digits": 0.25}, Stop())
    handed = [queue.suggest(f"tune-{number}") for number in range(5)]
    assert handed[4] == Searcher.FINISHED
    specs = [each["trial"] for each in handed[:4]]
    assert [pickle.loads(spec["pickled"]) for spec in specs] == trials
    assert [(spec["id"], spec["gpu_share"]) for spec in specs] == [(trial_id(trial), 0.25) for trial in trials]


def test_after_a_request_to_stop_none_is_handed_out() -> None:
    stop = Stop()
    queue = TrialQueue(expand(read_sweep(DIGITS)), {"vgg_digits": 0.0}, stop)
    assert "trial" in queue.suggest("tune-0")
    stop.give_up("for this test")
    assert queue.suggest("tune-1") == Searcher.FINISHED


def test_a_trial_that_lost_its_worker_starts_before_those_that_never_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "forget_ended", lambda controller: None)
    of_tune = [
        SimpleNamespace(status=status, num_failures=failures)
        for status, failures in (("RUNNING", 2), ("PENDING", 0), ("PENDING", 0), ("PENDING", 1))
    ]
    controller = SimpleNamespace(get_trials=lambda: of_tune)
    starting = scheduler.StoppableScheduler(Stop(), coordinator=None)
    assert starting.choose_trial_to_run(controller) is of_tune[3]
    of_tune.pop()
    assert starting.choose_trial_to_run(controller) is of_tune[1]


@pytest.mark.parametrize(("cores", "can_grow", "most"), [(2.0, False, 2), (0.0, True, 500), (4000.0, True, 4000)])
def test_as_many_trials_wait_as_a_cluster_has_or_may_soon_have_places(
    monkeypatch: pytest.MonkeyPatch, cores: float, can_grow: bool, most: int
) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": cores} if cores else {})
    assert driver._most_waiting(can_grow) == most
