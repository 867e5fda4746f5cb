"""A node of a cluster is killed: its trials go on elsewhere, and it is no failure of theirs."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.store.leases import Leases

from .conftest import Lab, table

# Ray and what it imports warn of their own affairs
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that runs no trials and two nodes with a core each: on this machine, but Ray cannot tell."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:  # short: sockets have long names
        (Path(folder) / "ray").mkdir()
        monkeypatch.setenv("RAY_TMPDIR", folder)
        from sweep.engines.on_ray import environment

        environment.prepare(None)  # with a token
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        nodes = [made.add_node(num_cpus=1) for _ in range(2)]
        yield made, nodes
        made.shutdown()


def test_a_lost_nodes_trials_go_on_elsewhere_and_are_not_charged_for_it(lab: Lab, undisturbed, cluster: Any) -> None:
    made, (first, second) = cluster
    lab.environment |= {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    arguments = ["launch", "faults.yaml", "--address", made.address, "--set", "compute.max_failures=0"]
    launch = lab.start(*arguments)
    lab.wait_for(lambda: lab.store.checkpoints() and len(Leases(lab.store.files).running()) == 2, launch)  # one a node
    made.remove_node(first, allow_graceful=False)  # kill -9 of all that it consists of
    assert launch.wait(timeout=240) == 0, (lab.said(launch), lab.store.trials()["traceback"].to_pylist())
    assert "it starts again" in lab.said(launch)
    assert table(lab.store) == undisturbed
    assert set(lab.store.statuses().values()) == {"completed"}
    assert second
