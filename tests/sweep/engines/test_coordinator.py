"""The coordinator: which attempt at a trial counts as the trial's own failure. With nodes lost in a real cluster: tests/faults."""

import pickle
from types import SimpleNamespace

import pytest

pytest.importorskip("ray")

import ray

from sweep.engines import Stop
from sweep.engines.on_ray import coordinator
from sweep.engines.on_ray.coordinator import (
    ELSEWHERE,
    LEAVE,
    MACHINES,
    NODE_LOST,
    PROCESS_LOST,
    TAKE,
    WAIT,
    Coordinator,
    Loss,
    Order,
)
from sweep.store import Store
from sweep.store.claims import Claims
from sweep.store.leases import Leases

TRIAL = "a" * 16
pytestmark = pytest.mark.filterwarnings("default")  # Ray and what it imports warn of their own affairs


@pytest.fixture
def nodes(monkeypatch) -> dict[str, bool]:
    """Which are alive, as Ray has noticed so far."""
    alive = {"one": True, "two": True}
    monkeypatch.setattr(ray, "nodes", lambda: [{"NodeID": node, "Alive": is_alive} for node, is_alive in alive.items()])
    monkeypatch.setattr(coordinator, "draining_nodes", set)
    monkeypatch.setattr(coordinator, "LOOK_SECONDS", 0.0)
    return alive


@pytest.fixture
def draining(nodes, monkeypatch) -> set[str]:
    """The nodes that are being drained."""
    drained: set[str] = set()
    monkeypatch.setattr(coordinator, "draining_nodes", lambda: drained)
    return drained


@pytest.fixture
def claims(tmp_path) -> Claims:
    return Claims.alone(Store(tmp_path / "results"))


def test_one_attempt_is_one_however_often_it_asks(nodes, claims):
    asked = Coordinator(claims, max_failures=0)
    assert [asked.take(TRIAL, "one", "first") for _ in range(3)] == [TAKE] * 3
    assert asked.take(TRIAL, "one", "second") == PROCESS_LOST


@pytest.mark.parametrize("most", [0, 1, 3])
def test_a_process_may_be_lost_as_often_as_a_trial_may_fail(nodes, claims, most):
    asked = Coordinator(claims, max_failures=most)
    said = [asked.take(TRIAL, "one", str(attempt)) for attempt in range(most + 2)]
    assert said == [*[TAKE] * (most + 1), PROCESS_LOST]


def test_what_was_lost_with_its_machine_counts_for_nothing_up_to_a_limit(nodes, claims):
    asked = Coordinator(claims, max_failures=0)
    for attempt in range(MACHINES + 1):
        nodes[f"node {attempt}"] = True
        assert asked.take(TRIAL, f"node {attempt}", str(attempt)) == TAKE
        nodes[f"node {attempt}"] = False
    assert asked.take(TRIAL, "one", "the last") == NODE_LOST


def test_a_trial_that_leaves_a_drained_node_is_preempted_and_not_charged_though_the_node_still_lives(draining, claims):
    asked = Coordinator(claims, max_failures=0)
    assert asked.take(TRIAL, "one", "first") == TAKE
    assert asked.order(TRIAL, "one") == Order(stop=False, leave=False, preemptions=0)
    draining.add("one")
    assert asked.order(TRIAL, "one") == Order(stop=False, leave=True, preemptions=0)
    asked.leave("first")
    assert asked.loss(TRIAL) == Loss(exit_code=None, preempted=True)
    assert asked.take(TRIAL, "two", "second") == TAKE
    assert asked.order(TRIAL, "two") == Order(stop=False, leave=False, preemptions=1)


def test_a_drained_node_gets_no_trial_and_that_counts_for_nothing(draining, claims):
    asked = Coordinator(claims, max_failures=0)
    draining.add("one")
    assert [asked.take(TRIAL, "one", attempt) for attempt in "abc"] == [ELSEWHERE] * 3
    assert asked.take(TRIAL, "two", "d") == TAKE
    assert asked.order(TRIAL, "two").preemptions == 0


def test_a_preemption_is_news_once_when_the_trial_runs_again(nodes, claims):
    asked = Coordinator(claims, max_failures=0)
    asked.take(TRIAL, "one", "first")
    asked.order(TRIAL, "one")
    nodes["one"] = False
    assert asked.news().preemptions == {}
    asked.take(TRIAL, "two", "second")
    asked.order(TRIAL, "two")
    asked.order(TRIAL, "two")
    assert [asked.news().preemptions for _ in range(2)] == [{TRIAL: 1}, {}]


def test_a_process_that_exits_is_no_preemption(nodes, claims):
    asked = Coordinator(claims, max_failures=1)
    asked.take(TRIAL, "one", "first")
    asked.note_exit(TRIAL, 3)
    assert asked.loss(TRIAL) == Loss(exit_code=3, preempted=False)
    asked.take(TRIAL, "one", "second")
    assert asked.order(TRIAL, "one").preemptions == 0


def test_while_another_machine_may_be_gone_unnoticed_a_worker_waits(nodes, claims, monkeypatch):
    asked = Coordinator(claims, max_failures=0)
    assert asked.take(TRIAL, "one", "first") == TAKE
    assert asked.take(TRIAL, "two", "second") == WAIT
    nodes["one"] = False
    assert asked.take(TRIAL, "two", "second") == TAKE


def test_it_does_not_wait_for_ever(nodes, claims, monkeypatch):
    monkeypatch.setattr(coordinator, "NOTICE_SECONDS", 0.0)
    asked = Coordinator(claims, max_failures=0)
    assert asked.take(TRIAL, "one", "first") == TAKE
    assert asked.take(TRIAL, "two", "second") == PROCESS_LOST


def test_what_another_launch_runs_is_left_to_it(nodes, tmp_path):
    store = Store(tmp_path / "results")
    mine, others = Claims.alone(store), Claims.alone(store)
    with others._leases.held():
        assert Coordinator(others, 0).take(TRIAL, "one", "first") == TAKE
        assert Coordinator(mine, 0).take(TRIAL, "one", "first") == LEAVE


def test_a_desk_that_is_started_again_keeps_the_checkpoint_of_a_forced_retry(nodes, tmp_path):
    store = Store(tmp_path / "results")
    store.save_checkpoint(TRIAL, b"of before")
    with Leases(store.files).held() as leases:
        claims = pickle.dumps(Claims(store, leases, {}, from_scratch=[TRIAL]))
        assert Coordinator(pickle.loads(claims), 3).take(TRIAL, "one", "first") == TAKE
        assert store.load_checkpoint(TRIAL) is None
        store.save_checkpoint(TRIAL, b"of this launch")
        assert Coordinator(pickle.loads(claims), 3).take(TRIAL, "one", "second") == TAKE
        assert store.load_checkpoint(TRIAL) == b"of this launch"


def test_a_coordinator_that_is_started_again_hears_of_a_stop(monkeypatch):
    from sweep.engines.on_ray import scheduler

    told, clock, stop = [], SimpleNamespace(now=0.0), Stop()
    stop.give_up("for this test")
    monkeypatch.setattr(scheduler, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(scheduler, "forget_ended", lambda controller: None)
    actor = SimpleNamespace(stop=SimpleNamespace(remote=lambda: told.append(clock.now)))
    halting = scheduler.StoppableScheduler(stop, actor)
    for clock.now in (0.0, 0.5, 1.0, 1.5, 2.0):
        halting.choose_trial_to_run(SimpleNamespace(get_trials=list))
    assert told == [0.0, 1.0, 2.0]
