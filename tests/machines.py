"""The cloud of :mod:`tests.autoscaler`: machines that are raylets on this one. The autoscaler's process imports it."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from ray._private import services
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.command_runner import CommandRunnerInterface
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE

START_SECONDS = 120.0  # for a raylet on a busy machine; Ray itself waits for 30
_get_node = services.get_node


def _patient_get_node(*arguments: Any) -> Any:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return _get_node(*arguments)
        except RuntimeError:
            if time.monotonic() > deadline:
                raise


services.get_node = _patient_get_node


class Machines(FakeMultiNodeProvider):
    """Ray's own stand-in for a cloud, which here notes what it is asked for, refuses, takes its time, and breaks."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str):
        super().__init__(provider_config, cluster_name)
        self._folder = Path(provider_config["folder"])

    def create_node_with_resources_and_labels(
        self, node_config: dict[str, Any], tags: dict[str, str], count: int, resources: Any, labels: Any
    ) -> None:
        """Start machines, or refuse them."""
        kind = tags[TAG_RAY_USER_NODE_TYPE]
        with (self._folder / "asked").open("a") as file:
            file.write(json.dumps({"kind": kind, "count": count, "time": time.time()}) + "\n")
        if reason := json.loads((self._folder / "refused").read_text()).get(kind):
            raise RuntimeError(reason)
        time.sleep(node_config["boot_seconds"])
        if node_config["setup"] == "true":
            super().create_node_with_resources_and_labels(node_config, tags, count, resources, labels)
            return
        with self.lock:  # a machine without Ray, which its set-up would start
            for _ in range(count):
                self._nodes[self._next_hex_node_id()] = {"tags": dict(tags), "setup": node_config["setup"]}

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        """Remember how far a machine's set-up is."""
        with self.lock:
            self._nodes[node_id]["tags"].update(tags)

    def get_command_runner(self, log_prefix: str, node_id: str, *arguments: Any, **options: Any) -> "Shell":
        """By which the autoscaler sets a machine up."""
        return Shell(self._nodes[node_id].get("setup", "true"))

    def _terminate_node(self, node: dict[str, Any]) -> None:
        if "node" in node:
            super()._terminate_node(node)


class Shell(CommandRunnerInterface):
    """Runs a machine's set-up in a shell here."""

    def __init__(self, setup: str):
        self._setup = setup

    def run(self, cmd: str | None = None, *arguments: Any, **options: Any) -> str:
        """Run it; raises CalledProcessError if it fails. ``uptime`` is the autoscaler's question whether it is up."""
        command = cmd if cmd == "uptime" else self._setup
        return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout

    def run_rsync_up(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        """Nothing: the files are here."""

    def run_rsync_down(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        """Nothing: the files are here."""

    def run_init(self, *, as_head: bool, file_mounts: dict[str, str], sync_run_yet: bool) -> bool | None:
        """Nothing."""
        return None

    def remote_shell_command_str(self) -> str:
        """Never used."""
        return "sh"
