"""Two launches of one config at the same moment on one store."""

import json
import os
import signal

import pytest

from .conftest import Lab, table

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("engines", [(["--local"], ["--local"]), (["--local", "--jobs", "2"], [])], ids=["here", "ray"])
def test_every_trial_runs_once(lab: Lab, undisturbed, engines) -> None:
    launches = [lab.start("launch", "faults.yaml", "--json", *engine) for engine in engines]
    for launch in launches:
        assert launch.wait(timeout=240) == 0, lab.said(launch)
    results = [json.loads(lab.said(launch).splitlines()[-1]) for launch in launches]
    assert sum(result["ran"] for result in results) == len(undisturbed)
    assert all(result["completed"] == len(undisturbed) for result in results)
    assert table(lab.store) == undisturbed
    assert lab.store.trials()["attempts"].to_pylist() == [1] * len(undisturbed)
    assert len(lab.store.loose("trials")) == len(lab.store.loose("epochs")) == len(undisturbed)
    assert not (lab.folder / "results/leases").exists()


def test_a_launch_takes_over_what_another_does_not_end(lab: Lab, undisturbed) -> None:
    first = lab.start("launch", "faults.yaml", "--local")
    lab.wait_for(lab.store.checkpoints, first)
    second = lab.start("launch", "faults.yaml", "--local", "--jobs", "2")
    lab.wait_for(lambda: len(lab.store.completed()) >= len(undisturbed) - 1, second)
    first.kill()
    first.wait()
    assert second.wait(timeout=240) == 0, lab.said(second)
    assert table(lab.store) == undisturbed


def test_status_tells_what_runs_and_what_is_missing_from_the_store_alone(lab: Lab, undisturbed) -> None:
    rigl = ["--set", "grid.method={name: rigl, every: 5}"]  # which, once begun, has a checkpoint
    launch = lab.start("launch", "faults.yaml", "--local", *rigl)
    lab.wait_for(lab.store.checkpoints, launch)
    os.kill(launch.pid, signal.SIGSTOP)  # or the trial would be over before all this is done
    counts = json.loads(lab.run("status", "--json"))["faults"]
    assert counts["running"] == 1 and sum(counts.values()) == 2
    launch.terminate()
    os.kill(launch.pid, signal.SIGCONT)
    assert launch.wait(timeout=60) == 143, lab.said(launch)
    counts = json.loads(lab.run("status", "--json"))["faults"]
    assert counts["interrupted"] == 1 and "running" not in counts and sum(counts.values()) == 2
    assert "1 go on from a checkpoint" in lab.run("status")
    lab.run("launch", "faults.yaml", "--local")
    assert json.loads(lab.run("status", "--json")) == {"faults": {"completed": len(undisturbed)}}
    assert table(lab.store) == undisturbed


def test_a_launch_goes_on_with_what_another_was_stopped_at(lab: Lab, undisturbed) -> None:
    first = lab.start("launch", "faults.yaml", "--local")
    lab.wait_for(lab.store.checkpoints, first)
    second = lab.start("launch", "faults.yaml", "--local")
    lab.wait_for(lambda: len(lab.store.completed()) >= 2, second)
    first.terminate()
    assert first.wait(timeout=60) == 143, lab.said(first)
    assert second.wait(timeout=240) == 0, lab.said(second)
    assert table(lab.store) == undisturbed
