"""Kill -9 of every process that a sweep consists of: nothing finished is lost, nothing runs twice, all comes out the same."""

import random
import time

import pytest

from .conftest import Lab, descendants, kill, table

ENGINES = {"here": ["--local"], "pool": ["--local", "--jobs", "2"], "ray": []}
WORKERS = {"pool": "multiprocessing.forkserver", "ray": "ray::ImplicitFunc"}
pytestmark = pytest.mark.slow


def pruning(lab: Lab) -> bool:
    """Whether a trial is in the middle of pruning: FORCE has been taken, and has no checkpoint yet."""
    force = {row["trial_id"] for row in lab.plan() if row["method"].startswith("force")}
    taken = {path.name.partition(".")[0] for path in (lab.folder / "results/leases").glob("*.claim")}
    return bool(force & taken - lab.store.checkpoints())


def training(lab: Lab) -> bool:
    """Whether a trial is in the middle of an epoch, its mask being stored."""
    return bool(lab.store.checkpoints())


MOMENTS = {"pruning": pruning, "training": training}


@pytest.mark.parametrize(("engine", "moment"), [("pool", "pruning"), ("ray", "pruning"), ("ray", "training")])
def test_a_killed_workers_trials_go_on_in_another(lab: Lab, undisturbed, engine: str, moment: str) -> None:
    lab.plan()
    launch = lab.start("launch", "faults.yaml", *ENGINES[engine])
    lab.wait_for(lambda: MOMENTS[moment](lab), launch)
    workers = [pid for pid, command in descendants(launch.pid).items() if WORKERS[engine] in command]
    assert workers
    kill(*workers)
    assert launch.wait(timeout=240) == 0, lab.said(launch)
    assert "it starts again" in lab.said(launch)
    assert table(lab.store) == undisturbed
    assert max(lab.store.trials()["attempts"].to_pylist()) >= (2 if moment == "training" else 1)


@pytest.mark.parametrize(("engine", "moment"), [("here", "pruning"), ("pool", "training"), ("ray", "training")])
def test_after_a_killed_driver_the_relaunch_runs_what_is_missing(
    lab: Lab, undisturbed, engine: str, moment: str
) -> None:
    lab.plan()
    launch = lab.start("launch", "faults.yaml", *ENGINES[engine])
    lab.wait_for(lambda: MOMENTS[moment](lab), launch)
    kill(launch.pid)
    launch.wait()
    before = lab.store.outcomes()
    lab.run("launch", "faults.yaml", *ENGINES[engine])
    assert table(lab.store) == undisturbed
    assert before.items() <= lab.store.outcomes().items()  # no finished trial ran again
    assert not lab.store.checkpoints()


def test_after_a_killed_raylet_the_relaunch_runs_what_is_missing(lab: Lab, undisturbed) -> None:
    launch = lab.start("launch", "faults.yaml")
    lab.wait_for(lambda: training(lab), launch)
    kill(*(pid for pid, command in descendants(launch.pid).items() if "raylet/raylet" in command))
    assert launch.wait(timeout=120) == 1, lab.said(launch)
    assert "raylet on this machine has died" in lab.said(launch) and "launching again" in lab.said(launch)
    before = lab.store.outcomes()
    lab.run("launch", "faults.yaml", "--local")  # test_after_a_killed_driver_… relaunches on Ray
    assert table(lab.store) == undisturbed
    assert before.items() <= lab.store.outcomes().items()


def test_twenty_kills_at_random_moments_end_the_same_way(lab: Lab, undisturbed) -> None:
    draw, running = random.Random(0), 0
    finished: dict[str, str] = {}
    for number in range(20):
        engine, longest = ("pool", 4.0) if number % 5 == 4 else ("here", 1.0)
        launch = lab.start("launch", "faults.yaml", *ENGINES[engine])
        time.sleep(draw.uniform(0.1, longest))
        running += launch.poll() is None
        victims = [launch.pid, *descendants(launch.pid)]
        kill(draw.choice(victims))
        time.sleep(draw.choice([0.0, draw.uniform(0.0, 1.0)]))
        kill(launch.pid)
        launch.wait()
        outcomes = lab.store.outcomes()
        assert finished.items() <= outcomes.items()  # what had completed has not run again
        finished = {name: outcome for name, outcome in outcomes.items() if outcome.status == "completed"}
    assert running > 10
    lab.run("launch", "faults.yaml", *ENGINES["pool"])
    assert finished.items() <= lab.store.outcomes().items()
    assert table(lab.store) == undisturbed
    lab.run("verify", "results")
    assert not list((lab.folder / "results").rglob("*.claim"))
