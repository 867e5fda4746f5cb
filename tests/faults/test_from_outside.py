"""A cluster that is used from outside: jobs, addresses, and a launch whose driver dies and is started elsewhere."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweep.engines import choose
from sweep.errors import InputError
from sweep.store import Store
from sweep.store.leases import Leases

from .conftest import Lab, descendants, kill, table

# Ray and what it imports warn of their own affairs
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]
BIN = Path(sys.executable).parent
OTHER_VERSION = """
import sys
from ray._raylet import GcsClient
theirs = GcsClient(address=sys.argv[1])
found = theirs.internal_kv_get(b"CLUSTER_METADATA", b"cluster")
theirs.internal_kv_put(b"CLUSTER_METADATA", found.replace(sys.argv[2].encode(), sys.argv[3].encode()), True, b"cluster")
"""


@dataclass(frozen=True)
class Head:
    """A running head.

    Attributes:
        port, jobs, clients: of the head, of its job server, of ray:// clients.
        environment: variables by which commands reach it.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    jobs: int
    clients: int
    environment: dict[str, str]

    def workers(self) -> set[int]:
        """The processes that run trials."""
        return {pid for pid, command in descendants(self.process.pid).items() if "ImplicitFunc" in command}


def free_ports(number: int) -> list[int]:
    """So many free ports."""
    with_ports = [socket.create_server(("", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in with_ports]
    for server in with_ports:
        server.close()
    return ports


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A head with two cores, a token and a job server, as `ray up` starts one."""
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # short: sockets have long names
    (folder / "ray").mkdir()
    port, jobs, clients, agent = free_ports(4)
    environment = {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    command = [
        str(BIN / "ray"), "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats",
        f"--temp-dir={folder / 'ray'}", f"--port={port}", f"--dashboard-port={jobs}",
        f"--ray-client-server-port={clients}", f"--dashboard-agent-listen-port={agent}",
    ]  # fmt: skip
    with open(folder / "output", "w") as output:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for_jobs(process, jobs, environment["RAY_AUTH_TOKEN"])
        yield Head(process, port, jobs, clients, environment)
    finally:
        kill(process.pid, *descendants(process.pid))
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_jobs(process: "subprocess.Popen[bytes]", port: int, token: str) -> None:
    """Wait until the job server answers."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(asked, timeout=5).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture
def store(s3: str, lab: Lab) -> Store:
    """A store on S3 that the cluster reaches, and this test."""
    bucket = f"outside-{os.getpid()}"
    found = Store(f"s3://somebody:hush-hush@{bucket}/sweeps?{s3}")
    found.files.fs.create_dir(bucket)
    return found


def test_a_sweep_that_is_submitted_stopped_killed_and_started_elsewhere_is_an_undisturbed_one(
    lab: Lab, head: Head, store: Store, undisturbed: dict[str, dict], tmp_path: Path
) -> None:
    lab.environment = os.environ | head.environment  # without the folder on the path: it is the working folder

    def ray_job(*arguments: str, code: int = 0) -> str:
        """Run ``ray job ARGUMENTS`` to its end, which must have this exit code; what it printed."""
        environment = lab.environment | {"RAY_ADDRESS": f"http://127.0.0.1:{head.jobs}"}
        while True:
            ran = subprocess.run(
                [str(BIN / "ray"), "job", *arguments], env=environment, cwd=lab.folder, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            if "No available agent to submit job" not in ran.stdout:  # yet: the head has only just started
                assert ran.returncode == code, ran.stdout
                return ran.stdout

    launch = [str(BIN / "sweep"), "launch", "faults.yaml", "--address", "auto"]
    # the second variable is one that a launch sets too; the third keeps the trials running until they are stopped
    variables = {"RAY_JOB_STOP_WAIT_TIME_S": "60", "RAY_CHDIR_TO_TRIAL_DIR": "0", "SLOWER": "20"}
    settings = json.dumps({"env_vars": variables})
    submit = ["submit", "--working-dir", str(lab.folder), "--runtime-env-json", settings]

    # ray job stop: running trials save a checkpoint
    ray_job(*submit, "--no-wait", "--submission-id", "first", "--", *launch, "--store", store.files.uri)
    _wait(lambda: store.checkpoints() and len(Leases(store.files).running()) == 2)
    ray_job("stop", "first")
    _wait(lambda: not Leases(store.files).living())
    assert "interrupted; see: sweep trial show" in ray_job("logs", "first")
    assert "interrupted" in store.statuses().values()
    assert set(store.statuses().values()) <= {"interrupted", "completed"} and store.checkpoints()

    # the driver of a launch that joined the cluster dies, and its trials with it
    completed = len(store.completed())
    join = ["launch", "faults.yaml", "--address", f"127.0.0.1:{head.port}", "--store", store.files.uri]
    driver = lab.start(*join)
    lab.wait_for(lambda: store.checkpoints() and len(store.completed()) > completed, driver)
    kill(driver.pid)
    driver.wait()
    _wait(lambda: not head.workers())
    before = {name: outcome for name, outcome in store.outcomes().items() if outcome.status == "completed"}
    assert 0 < len(before) < len(undisturbed)

    # and is started elsewhere
    elsewhere = Lab(tmp_path / "elsewhere", lab._starter)
    elsewhere.environment = lab.environment | {"RAY_ADDRESS": f"127.0.0.1:{head.port}"}
    elsewhere.run("launch", "faults.yaml", "--address", "auto", "--store", store.files.uri)
    assert before.items() <= store.outcomes().items(), "no finished trial ran again"
    assert table(store) == undisturbed
    assert store.checkpoints() == set()


def test_an_address_that_is_almost_right_is_refused(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in head.environment.items():
        monkeypatch.setenv(name, value)
    there = f"127.0.0.1:{head.port}"
    choose(address=there)
    with pytest.raises(InputError, match="does not answer as the head of a Ray cluster does"):
        choose(address=f"127.0.0.1:{head.clients}")
    change = [sys.executable, "-c", OTHER_VERSION, there]
    subprocess.run([*change, '"2.', '"1.'], check=True)
    with pytest.raises(InputError, match=r"runs Ray 1\.\d+\.\d+ on Python .* and this process Ray 2\."):
        choose(address=there)
    subprocess.run([*change, '"1.', '"2.'], check=True)
    for token in ("f" * 64, ""):
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        monkeypatch.setenv("RAY_AUTH_MODE", "token" if token else "disabled")
        with pytest.raises(InputError, match="asks for a token, and this machine has none or another one"):
            choose(address=there)


def _wait(is_so, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
