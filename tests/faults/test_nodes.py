"""Nodes of a cluster are killed and drained: their trials go on elsewhere, and it is no failure of theirs."""

import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.store.leases import Leases

from .conftest import Lab, Process, table

# Ray and what it imports warn of their own affairs
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
SECONDS = 120  # of a drained node until it is taken away: longer than the whole launch takes


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that runs no trials and three nodes with a core each: on this machine, but Ray cannot tell."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:  # short: sockets have long names
        (Path(folder) / "ray").mkdir()
        monkeypatch.setenv("RAY_TMPDIR", folder)
        from sweep.engines.on_ray import environment

        environment.prepare(None)  # with a token
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        nodes = [made.add_node(num_cpus=1) for _ in range(3)]
        yield made, nodes
        made.shutdown()


def drain(address: str, node: Any) -> None:
    """As ``ray drain-node`` does, by which a cloud's notice of preemption reaches Ray."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason  # type: ignore[attr-defined]

    reason, deadline = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"), 1000 * (int(time.time()) + SECONDS)
    is_accepted, why_not = GcsClient(address=address).drain_node(node.node_id, reason, "spot", deadline)
    assert is_accepted, why_not


def wait_for_one_trial_a_node(lab: Lab, launch: Process, nodes: int) -> None:
    lab.wait_for(lambda: lab.store.checkpoints() and len(Leases(lab.store.files).running()) == nodes, launch)


def test_a_killed_and_a_drained_nodes_trials_go_on_elsewhere_as_preempted_and_not_as_failed(
    lab: Lab, undisturbed, cluster: Any
) -> None:
    made, (killed, drained, last) = cluster
    lab.environment |= {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    (lab.folder / "hold").touch()  # so that no trial ends before its node does
    launch = lab.start("launch", "faults.yaml", "--address", made.address, "--set", "compute.max_failures=0")
    wait_for_one_trial_a_node(lab, launch, 3)
    drain(made.address, drained)
    made.remove_node(killed, allow_graceful=False)  # kill -9 of all that it consists of
    lab.wait_for(lambda: "its machine is being taken away" in lab.said(launch), launch)
    (lab.folder / "hold").unlink()
    assert launch.wait(timeout=240) == 0, (lab.said(launch), lab.store.trials()["traceback"].to_pylist())

    said = lab.said(launch)
    assert re.search("its machine is being taken away(?: in epoch [123])?; it goes on elsewhere", said)
    assert re.search("its machine (?:was|had been) taken away; it goes on elsewhere", said)
    assert "ran 5 trials, 2 preempted. Now 5 completed." in said
    assert table(lab.store) == undisturbed
    assert sorted(lab.store.trials()["preemptions"].to_pylist()) == [0, 0, 0, 1, 1]
    assert set(lab.store.statuses().values()) == {"completed"}
    assert last
