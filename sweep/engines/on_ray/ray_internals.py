"""Every part of Ray that is used here without being part of its documented interface, and why.

Only aws.py uses others: its class extends one of Ray's.

Each function names what it uses and why nothing documented does the same. Where a Ray has moved it, the function raises
an InputError that says so; tests/sweep/engines/test_ray_internals.py calls each on the installed Ray, and fails first.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.job_config import JobConfig

from sweep.engines.on_ray.waiting import Asked, Kind, Node
from sweep.errors import InputError


class Reported(NamedTuple):
    """What a cluster reports of itself and of its autoscaler.

    Attributes:
        nodes: machines that are there, the head included.
        asked: requests that the cloud has not answered, by kind.
        starting: names of machines that boot or are set up, by kind.
        refused: when the cloud last refused a machine, by kind.
    """

    nodes: list[Node]
    asked: dict[str, Asked]
    starting: dict[str, list[str]]
    refused: dict[str, float]


@contextmanager
def uses(part: str) -> Iterator[None]:
    """Name the part of Ray that the block uses.

    Raises:
        InputError: this Ray does not have it, or has it in another form.
    """
    try:
        yield
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(
            f"Ray {ray.__version__} has moved {part} ({error}); install the Ray that constraints.txt names, or see"
            " sweep/engines/on_ray/ray_internals.py"
        ) from error


def start_below(folder: Path) -> dict[str, Any]:
    """The arguments of ray.init that put the files of a Ray into ``folder``.

    ``_temp_dir`` is private. ``RAY_TMPDIR``, which is documented, would also hold for the workers' own temporary files,
    and for every Ray that this process starts later.
    """
    return {"_temp_dir": str(folder)}


class _Fixed(list[str]):
    """A list that Ray does not extend."""

    def extend(self, entries: Iterable[str]) -> None:
        """Leave it as it is."""


def job_with_path(folders: list[str]) -> JobConfig:
    """The config of a job whose workers look for modules in ``folders`` first.

    ``JobConfig._py_driver_sys_path`` is private, and ray.init adds the driver's working folder to it: a file
    ``training.py`` there would be imported instead of our package. A runtime environment's ``PYTHONPATH`` comes later.
    """
    with uses("JobConfig._py_driver_sys_path"):
        config = JobConfig()
        if not isinstance(config._py_driver_sys_path, list):
            raise TypeError("it is no list")
        config._py_driver_sys_path = _Fixed(folders)
    return config


def own_raylet() -> "subprocess.Popen[bytes] | None":
    """The process of the raylet that this process has started; None if it joined a cluster.

    ``_global_node`` is private. Ray tells nobody that a raylet died, and ends the driver a little later without a
    message.
    """
    with uses("ray._private.worker._global_node.all_processes"):
        processes: dict[str, list[Any]] = ray._private.worker._global_node.all_processes  # type: ignore[attr-defined]
        for started in processes.get("raylet", ()):
            raylet: subprocess.Popen[bytes] = started.process
            return raylet
    return None


def node_groups() -> list[Kind]:
    """The kinds of nodes that the cluster's autoscaler can launch, where it has told Ray. Ray must be connected.

    ``ray._private.state`` is private. The documented ``ray.nodes()`` lists the nodes that are there, not those that
    may come.
    """
    with uses("ray._private.state.state.get_cluster_config"):
        told = ray._private.state.state.get_cluster_config()
        groups = told.node_group_configs if told else ()
        return [Kind(group.name, dict(group.resources), group.max_count) for group in groups]


def reported() -> Reported:
    """What the cluster reports now. Ray must be connected.

    ``ray.autoscaler.v2.sdk`` is what ``ray status`` prints, and not documented. The documented ``ray.nodes()`` lists no
    machines that are asked for, and the documented ``ray.util.state`` needs the dashboard.

    Raises:
        Exception: of Ray's own, where the cluster does not answer.
    """
    with uses("ray.autoscaler.v2.sdk.get_cluster_status"):
        from ray.autoscaler.v2.sdk import get_cluster_status

        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        nodes = [
            Node(node.ray_node_type_name, node.total_resources(), node.available_resources())
            for node in (*status.active_nodes, *status.idle_nodes)
        ]
        starting: dict[str, list[str]] = defaultdict(list)
        asked: dict[str, Asked] = {}
        refused: dict[str, float] = {}
        for node in status.pending_nodes:
            starting[node.ray_node_type_name].append(node.instance_id)
        for launch in status.pending_launches:
            before = asked.get(launch.ray_node_type_name, Asked(0, launch.request_ts_s))
            since = min(before.since, launch.request_ts_s)
            asked[launch.ray_node_type_name] = Asked(before.number + launch.count, since)
        for launch in status.failed_launches:
            kind, moment = launch.ray_node_type_name, launch.failed_ts_s or 0.0
            refused[kind] = max(refused.get(kind, 0.0), moment)
        return Reported(nodes, asked, dict(starting), refused)


def log_folder() -> Path:
    """Where this machine's Ray writes its logs. Ray must be connected.

    ``_global_node`` is private. Nothing documented tells the folder of a Ray that others have started.
    """
    with uses("ray._private.worker._global_node.get_logs_dir_path"):
        return Path(ray._private.worker._global_node.get_logs_dir_path())  # type: ignore[attr-defined]


def head_id() -> str | None:
    """The id of the head's node; None while it is not among the living ones. Ray must be connected.

    The resource ``node:__internal_head__`` is Ray's own mark of it; nothing documented tells it from others.
    """
    for node in ray.nodes():
        if node["Alive"] and "node:__internal_head__" in node["Resources"]:
            return str(node["NodeID"])
    return None


def silent_progress() -> Any:
    """A callback that keeps Tune from adding one of its own that prints.

    Tune looks for an instance of ``ray.tune.progress_reporter.TrialProgressCallback``, which is a developers' class.
    Its own prints a line for each trial at every verbosity.
    """
    with uses("ray.tune.progress_reporter.TrialProgressCallback"):
        from ray.tune.progress_reporter import TrialProgressCallback

        class Silent(TrialProgressCallback):
            """Prints nothing, and can be pickled, as Tune asks of callbacks."""

            def log_result(self, *arguments: Any, **named: Any) -> None:
                """Print nothing about a result or an error."""

            def on_trial_complete(self, *arguments: Any, **named: Any) -> None:
                """Print nothing about an end."""

        return Silent()


def draining_nodes() -> set[str]:
    """The ids of the nodes that are being drained: they get no new work and end soon. Ray must be connected.

    ``ray._private.state`` is private. The documented ``ray.nodes()`` lists such nodes as alive like any other.
    """
    with uses("ray._private.state.state.get_draining_nodes"):
        return set(ray._private.state.state.get_draining_nodes())


class Versions(NamedTuple):
    """The versions of Ray and Python that a process runs."""

    ray: str
    python: str


class Cluster(NamedTuple):
    """A cluster that answered.

    Attributes:
        at: HOST:PORT of its head.
        theirs, ours: the versions there and in this process, as dictionaries.
        is_node: whether this machine has a living node of it, without which no driver can run here.
    """

    at: str
    theirs: dict[str, str]
    ours: dict[str, str]
    is_node: bool


def host_and_port(address: str) -> str:
    """``HOST:PORT`` of the cluster at ``address``, where "auto" is one on this machine. Connects to nothing.

    ``ray._private.services`` is private. The documented way, ray.init, connects, and tries for minutes.

    Raises:
        ConnectionError: "auto", and there is none.
        ValueError: not an address.
    """
    with uses("ray._private.services.canonicalize_bootstrap_address"):
        from ray._private.services import canonicalize_bootstrap_address

        found = canonicalize_bootstrap_address(address)
    if found is None:
        raise ConnectionError(f"{address} names no cluster")
    return str(found)


def cluster_at(at: str) -> Cluster:
    """Ask the cluster whose head is at HOST:PORT for its versions and nodes. May never return where no Ray listens.

    ``ray._raylet.GcsClient`` is private. ray.init would register a driver first, and wait for a minute on a machine
    that is no node of the cluster.
    """
    with uses("ray._raylet.GcsClient and ray._private.services.find_node_ids"):
        from ray._private.services import find_node_ids
        from ray._raylet import GcsClient  # type: ignore[attr-defined]  # its stub lacks it

        client = GcsClient(address=at)
        metadata = json.loads(client.internal_kv_get(b"CLUSTER_METADATA", b"cluster"))
        living = {node.hex() for node, info in client.get_all_node_info().items() if info.state == 0}
        theirs = Versions(metadata["ray_version"], metadata["python_version"])
        ours = Versions(ray.__version__, ".".join(map(str, sys.version_info[:3])))
        return Cluster(at, theirs._asdict(), ours._asdict(), bool(living & set(find_node_ids())))


def forget_ended(tune_controller: Any) -> None:
    """Make Tune forget the trials that have ended. Call it where a scheduler chooses a trial.

    Tune keeps each trial with its config and results until an experiment ends, 45 KB and more, and goes through all of
    them after every event. Its sets of them are private, and nothing documented empties them.
    """
    with uses("the sets of trials of Tune's controller"):
        controller = tune_controller._tune_controller  # a scheduler gets a wrapper around it
        ended = controller._stopped_trials | controller._failed_trials
        if not ended:
            return
        controller._trials[:] = [trial for trial in controller._trials if trial not in ended]
        for kept in (controller._stopped_trials, controller._failed_trials, controller._live_trials):
            kept -= ended
        controller._trials_to_cache -= ended
