"""What Ray needs of a machine: what is missing is named in a line, or done without. Starts no Ray."""

import contextlib
import getpass
import os
import pwd
import re
import shutil
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.engines.on_ray import environment, preconditions, scratch_folders
from sweep.errors import InputError
from sweep.store.leases import Launch
from sweep.trial import machine

from ..small import DIGITS, sweep

pytestmark = pytest.mark.filterwarnings("default")  # Ray and what it imports warn of their own affairs
NOWHERE = Path("/proc/nowhere")  # root may write anywhere else


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of this process, to be changed."""
    found = dict(os.environ)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        found.pop(name, None)
    monkeypatch.setattr(os, "environ", found)
    return found


def test_an_unwritable_temporary_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(NOWHERE))
    with contextlib.chdir(tmp_path):
        result = sweep("launch", str(DIGITS), "--set", "tracking.enabled=false")
    assert result.code == 2 and not list(tmp_path.iterdir())
    assert result.err == (
        "error: Ray cannot start on this machine: it cannot write to /proc/nowhere (No such file or directory), for its"
        " files; name another folder with RAY_TMPDIR=DIR. --local runs without Ray\n"
    )


def test_a_store_that_ray_would_delete_with_the_job_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside, outside = tmp_path / "results", tmp_path.parent
    preconditions.check_store(inside)  # no job
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", '{"runtime_env": {"env_vars": {}}, "metadata": {}}')
    preconditions.check_store(inside)  # a job in a folder that stays
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", '{"runtime_env": {"working_dir": "gcs://package.zip"}}')
    preconditions.check_store(outside)
    preconditions.check_store(None)  # a bucket
    with pytest.raises(InputError, match="store: .*results is in the working folder of this job, which Ray deletes"):
        preconditions.check_store(inside)
    said = sweep("launch", str(DIGITS), "--detach")
    assert said.code == 2 and "a job of Ray runs in the background by itself" in said.err


def test_unwritable_shared_memory_and_a_missing_loopback_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"cannot write to /proc/nowhere .* shared memory\. --local runs without Ray"):
        preconditions.check(shared_memory=NOWHERE)

    def unreachable(*arguments: Any, **named: Any) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    with pytest.raises(InputError, match=r"cannot reach each other at 127\.0\.0\.1 \(timed out\)\. --local runs"):
        preconditions.check()


def test_without_a_home_the_token_is_in_the_environment(variables: dict[str, str]) -> None:
    variables["HOME"] = str(NOWHERE)
    environment.prepare(None)
    assert re.fullmatch("[0-9a-f]{64}", variables["RAY_AUTH_TOKEN"]) and variables["RAY_AUTH_MODE"] == "token"


def test_a_user_without_a_name_and_a_home_gets_both(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(user: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        variables.pop(name, None)
    environment.prepare(None)
    assert len(variables["RAY_AUTH_TOKEN"]) == 64
    assert getpass.getuser() == f"user-{os.getuid()}"


def test_of_launches_that_make_the_token_at_once_one_does(tmp_path: Path, variables: dict[str, str]) -> None:
    variables["HOME"] = str(tmp_path)
    errors, file = list[BaseException](), tmp_path / ".ray/auth_token"

    def make(barrier: threading.Barrier) -> None:
        barrier.wait()
        try:
            environment._make_token()
            assert len(file.read_text()) == 64
        except BaseException as error:
            errors.append(error)

    for _ in range(20):
        barrier = threading.Barrier(4)
        threads = [threading.Thread(target=make, args=(barrier,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors and "RAY_AUTH_TOKEN" not in variables
        assert os.listdir(file.parent) == ["auth_token"] and file.stat().st_mode & 0o777 == 0o600
        shutil.rmtree(file.parent)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """``sweep.engines.on_ray.cluster``, whose Ray is started below ``tmp_path``."""
    from sweep.engines.on_ray import cluster as module

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return module


def test_a_ray_that_fails_as_it_starts_is_one_line(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[dict[str, Any]]()

    def fail(**named: Any) -> None:
        asked.append(named)
        raise AssertionError("no room in /dev/shm\nand much more")

    monkeypatch.setattr("ray.init", fail)
    monkeypatch.setattr(machine, "cores", lambda: 3)
    with pytest.raises(InputError) as told, cluster.connected(None):
        pass
    assert str(told.value) == "Ray cannot start on this machine: no room in /dev/shm. --local runs without Ray"
    assert asked[0]["num_cpus"] == 3 and not list(tmp_path.iterdir())


def test_a_ray_that_does_not_answer_is_given_up(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.init", lambda **named: time.sleep(30))
    monkeypatch.setattr(cluster, "START_SECONDS", 0.1)
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"it has not answered for 0 s\. --local"), cluster.connected(None):
        pass
    assert time.monotonic() - begin < 20 and not list(tmp_path.iterdir())


def test_the_next_launch_removes_what_a_killed_one_has_left(tmp_path: Path) -> None:
    dead, living, strange = (scratch_folders.make(tmp_path) for _ in range(3))
    (dead / "ray").mkdir()
    (dead / scratch_folders.OWNER).write_text(replace(Launch(), began="1").to_json())
    (strange / scratch_folders.OWNER).write_text(replace(Launch(), machine="another", began="1").to_json())
    (tmp_path / "sweep-results").mkdir()
    scratch_folders.clear(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {living.name, strange.name, "sweep-results"}


def test_at_a_wrong_address_no_data_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: Any) -> None:
    from sweep.engines.on_ray import starting

    read = list[Any]()
    monkeypatch.setattr(starting, "listed_data", read.append)
    with contextlib.chdir(tmp_path):
        result = sweep("launch", str(DIGITS), "--address", "127.0.0.1:1", "--set", "tracking.enabled=false")
    assert result.code == 2 and "--address 127.0.0.1:1: no Ray cluster answers there" in result.err
    assert read == []
