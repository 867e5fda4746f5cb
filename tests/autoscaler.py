"""A Ray cluster that grows and shrinks: Ray's own autoscaler (v2), whose machines are raylets on this one.

    with autoscaled(Machine("gpu", cpus=4, gpus=2, most=2)) as cluster:
        ...  # "sweep launch --address cluster.address", in the environment cluster.environment
        cluster.counts()  # how many workers there were, change by change: [0, 1, 2, 0]

The head runs no trials. Ray's processes are Ray's; only the cloud is ours: ``tests/machines.py`` starts a raylet where
a cloud would start a machine, and refuses or breaks machines where a test says so. All files lie in a folder of the
cluster's own, and all ports are free ones, so that clusters stand side by side.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HEAD, HEAD_ID = "ray.head.default", "f" * 51 + "00000"  # names that Ray's stand-in for a cloud gives the head
SECONDS = 120.0  # in which what is waited for happens, also on a busy machine

# A process of its own: a test's Ray may be another one, or have another token
WATCH = """
import json, sys, time
from collections import Counter
from ray.autoscaler.v2.sdk import get_cluster_status

before = None
while True:
    try:
        status = get_cluster_status(sys.argv[1])
        assert int(status.stats.autoscaler_version)
    except Exception:  # it, or its autoscaler, is not up yet, or not any more
        time.sleep(0.2)
        continue
    nodes = [node for node in (*status.active_nodes, *status.idle_nodes) if node.ray_node_type_name != "ray.head.default"]
    state = {
        "workers": Counter(node.ray_node_type_name for node in nodes),
        "asked": Counter({launch.ray_node_type_name: launch.count for launch in status.pending_launches}),
        "refused": len(status.failed_launches),
        "demand": sum(bundle.count for demand in status.resource_demands.placement_group_demand
                      for bundle in demand.bundles_by_count),
    }
    if state != before:
        before = state
        print(json.dumps(state | {"time": time.time()}), flush=True)
    time.sleep(0.2)
"""


@dataclass(frozen=True)
class Machine:
    """A kind of worker.

    Attributes:
        name: of the kind.
        cpus, gpus: that Ray counts; there need not be so many.
        least, most: how many there are.
        boot_seconds: between the request and the machine.
        setup: a shell command that runs before Ray starts on it; the machine is broken if that fails.
    """

    name: str = "worker"
    cpus: int = 1
    gpus: int = 0
    least: int = 0
    most: int = 2
    boot_seconds: float = 0.0
    setup: str = "true"

    def to_yaml(self) -> dict[str, Any]:
        """Its entry among a config's ``available_node_types``."""
        return {
            "resources": {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {}),
            "min_workers": self.least,
            "max_workers": self.most,
            "node_config": {"boot_seconds": self.boot_seconds, "setup": self.setup},
        }


@dataclass(frozen=True)
class Moment:
    """The cluster from ``time`` on.

    Attributes:
        workers: living ones, by kind; the head is none.
        asked: machines that the cloud was asked for and has not given yet, by kind.
        refused: machines that it refused so far.
        demand: placement groups, so trials, that wait for a machine.
    """

    time: float
    workers: dict[str, int]
    asked: dict[str, int]
    refused: int
    demand: int


@dataclass
class Cluster:
    """A running one.

    Attributes:
        address: as ``--address`` takes it.
        folder: with its config, logs and sockets; a short path.
        environment: variables by which commands reach it.
    """

    address: str
    folder: Path
    environment: dict[str, str]
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def history(self) -> list[Moment]:
        """All that was seen so far."""
        return [Moment(**json.loads(line)) for line in (self.folder / "history").read_text().splitlines()]

    def counts(self) -> list[int]:
        """The numbers of workers in their order, each different from the one before."""
        numbers = [sum(moment.workers.values()) for moment in self.history()]
        return [number for i, number in enumerate(numbers) if i == 0 or number != numbers[i - 1]]

    def launches(self) -> list[dict[str, Any]]:
        """What the cloud was asked for, in order: ``kind``, ``count`` and ``time``."""
        file = self.folder / "asked"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def refuse(self, **kinds: str) -> None:
        """Let the cloud refuse machines from now on: ``gpu="InsufficientInstanceCapacity: ..."``; without: give all."""
        beside = self.folder / "refused.new"
        beside.write_text(json.dumps(kinds))
        beside.replace(self.folder / "refused")

    def offer(self, *kinds: Machine) -> None:
        """Let the cloud have these kinds of machines from now on. The autoscaler reads its config every time."""
        file = self.folder / "cluster.yaml"
        config = yaml.safe_load(file.read_text())
        head = config["available_node_types"][HEAD]
        config["available_node_types"] = {HEAD: head} | {kind.name: kind.to_yaml() for kind in kinds}
        beside = file.with_suffix(".new")
        beside.write_text(yaml.safe_dump(config))
        beside.replace(file)

    def raylets(self) -> dict[str, int]:
        """Process ids of the workers' raylets, by Ray's id of their node."""
        found = {}
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                if process.name.isdigit() and b"raylet/raylet" in (process / "cmdline").read_bytes().split(b"\0")[0]:
                    variables = (process / "environ").read_bytes().decode().split("\0")
                    values = dict(variable.split("=", 1) for variable in variables if "=" in variable)
                    node = values.get("RAY_OVERRIDE_NODE_ID_FOR_TESTING", HEAD_ID)
                    if values.get("RAY_TMPDIR") == str(self.folder) and node != HEAD_ID:
                        found[node] = int(process.name)
        return found

    def wait_for_workers(self, number: int, seconds: float = SECONDS) -> None:
        """Wait until so many live."""
        deadline = time.monotonic() + seconds
        while not (moments := self.history()) or sum(moments[-1].workers.values()) != number:
            assert time.monotonic() < deadline, (number, self.counts(), self.log())
            time.sleep(0.1)

    def log(self) -> str:
        """The autoscaler's last lines, for a test that fails."""
        files = sorted(self.folder.glob("ray/session_latest/logs/monitor*"))
        lines = [line for file in files for line in file.read_text(errors="replace").splitlines()]
        return "\n".join([line for line in lines if "legacy field" not in line][-60:])

    def end(self) -> None:
        """Kill all that it consists of."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for raylet in self.raylets().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(raylet, signal.SIGKILL)


@contextlib.contextmanager
def autoscaled(
    *kinds: Machine, most: int | None = None, idle_seconds: float = 5.0, speed: float = 100.0
) -> Iterator[Cluster]:
    """Start a cluster of a head and no workers beyond the kinds' ``least``, and end it after the block.

    Args:
        kinds: of workers.
        most: ``max_workers`` of the whole cluster; None: what the kinds allow.
        idle_seconds: after which a worker without work is given back.
        speed: ``upscaling_speed``: how many machines are asked for at once, as a multiple of those that are there.
    """
    with tempfile.TemporaryDirectory(prefix="as-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        cluster = _cluster(folder)
        (folder / "cluster.yaml").write_text(yaml.safe_dump(_config(cluster, kinds, most, idle_seconds, speed)))
        cluster.refuse()
        try:
            _start(cluster)
            yield cluster
        finally:
            cluster.end()


def _cluster(folder: Path) -> Cluster:
    """Before it is started. Its token is its own: a command with another one is refused."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    address = f"127.0.0.1:{_free_port()}"
    return Cluster(address, folder, {
        "RAY_ADDRESS": address,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_TMPDIR": str(folder),
    })  # fmt: skip


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _config(cluster: Cluster, kinds: Sequence[Machine], most: int | None, idle: float, speed: float) -> dict[str, Any]:
    """What ``ray up`` would leave on a head."""
    head = {"resources": {"CPU": 0}, "min_workers": 0, "max_workers": 0, "node_config": {}}
    return {
        "cluster_name": "test",
        "max_workers": sum(kind.most for kind in kinds) if most is None else most,
        "upscaling_speed": speed,
        "idle_timeout_minutes": idle / 60,
        "provider": {
            "type": "external", "module": "machines.Machines", "launch_multiple": True, "head_node_id": HEAD_ID,
            "gcs_address": cluster.address, "folder": str(cluster.folder),
        },
        "available_node_types": {HEAD: head} | {kind.name: kind.to_yaml() for kind in kinds},
        "head_node_type": HEAD,
        "auth": {}, "docker": {}, "file_mounts": {}, "cluster_synced_files": [],
        "initialization_commands": [], "setup_commands": [], "head_setup_commands": [],
        "worker_setup_commands": ["true"], "head_start_ray_commands": [], "worker_start_ray_commands": [],
    }  # fmt: skip


def _start(cluster: Cluster) -> None:
    """Start the head, which starts the autoscaler, and what watches both."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    variables = os.environ | cluster.environment | {
        "PYTHONPATH": path, "RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID, "RAY_NODE_TYPE_NAME": HEAD,
        "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0",
        "RAY_enable_worker_prestart": "0", "RAY_prestart_worker_first_driver": "0",  # only the workers that trials need
        "AUTOSCALER_METRIC_PORT": str(_free_port()),
    }  # fmt: skip
    variables.pop("RAY_ADDRESS")
    ray = str(Path(sys.executable).with_name("ray"))
    head = [
        ray, "start", "--head", "--block", "--port", cluster.address.rpartition(":")[2],
        "--num-cpus", "0", "--num-gpus", "0", "--include-dashboard", "false",
        "--temp-dir", str(cluster.folder / "ray"), "--ray-client-server-port", str(_free_port()),
        "--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", "0",
        "--object-store-memory", str(200 * 2**20), "--autoscaling-config", str(cluster.folder / "cluster.yaml"),
    ]  # fmt: skip
    _spawn(cluster, head, variables, "head")
    variables.pop("RAY_OVERRIDE_NODE_ID_FOR_TESTING")
    _spawn(cluster, [sys.executable, "-c", WATCH, cluster.address], variables, "history")
    deadline = time.monotonic() + SECONDS
    while not cluster.history():
        assert cluster.processes[0].poll() is None, (cluster.folder / "head").read_text()
        assert time.monotonic() < deadline, cluster.log()
        time.sleep(0.1)


def _spawn(cluster: Cluster, command: Sequence[str], variables: dict[str, str], output: str) -> None:
    with (cluster.folder / output).open("wb") as file, (cluster.folder / f"{output}.errors").open("wb") as errors:
        cluster.processes.append(
            subprocess.Popen(command, env=variables, stdout=file, stderr=errors, start_new_session=True)
        )
