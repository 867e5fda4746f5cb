"""NVIDIA's Multi-Process Service: started for the workers of a launch and stopped again. A stand-in plays the daemon."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand
from sweep.engines import Stop, Watchers, mps, on_ray, processes
from sweep.errors import InputError
from sweep.store.leases import Launch

NO_CLAIMS = SimpleNamespace(store=SimpleNamespace(local=None))
PIPES = "CUDA_MPS_PIPE_DIRECTORY"
TINY = """
name: tiny
data: digits
grid: {architecture: {name: vgg_digits, width: 8, depth: 4}, method: dense, sparsity: 0.9, seed: 0}
training: {epochs: 1}
compute: {gpus_per_trial: 0.5, mps: on}
"""


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in on PATH; the file in which it notes its calls."""
    calls = tmp_path / "calls"
    program(tmp_path, f'if [ "$1" = -d ]; then echo start >> {calls}; else cat >> {calls}; fi')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return calls


def program(folder: Path, script: str) -> None:
    (folder / mps.DAEMON).write_text(f"#!/bin/sh\n{script}\n")
    (folder / mps.DAEMON).chmod(0o755)


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(mps, "ELSEWHERE", ())


@pytest.fixture
def tiny(tmp_path: Path) -> SweepConfig:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return read_sweep(tmp_path / "tiny.yaml", [])


def test_the_daemon_runs_in_a_folder_of_its_own_and_is_stopped(daemon: Path) -> None:
    with mps.service() as variables:
        folder = Path(variables[PIPES])
        assert folder.is_dir() and len(str(folder)) < 80
        assert daemon.read_text() == "start\n"
    assert daemon.read_text() == "start\nquit -t 5\n"
    assert not folder.parent.exists()


def test_the_daemon_is_stopped_where_a_launch_fails(daemon: Path) -> None:
    with pytest.raises(KeyboardInterrupt), mps.service():
        raise KeyboardInterrupt
    assert daemon.read_text() == "start\nquit -t 5\n"


@pytest.mark.usefixtures("no_daemon")
def test_a_machine_without_the_daemon_is_an_error_that_names_the_setting() -> None:
    with (
        pytest.raises(InputError, match=r"^compute\.mps: nvidia-cuda-mps-control is not on the PATH.*mps=off"),
        mps.service(),
    ):
        pass


def test_a_daemon_that_does_not_start_is_quoted_with_its_log(daemon: Path) -> None:
    program(daemon.parent, 'echo "no permission"; echo "the log" > "$CUDA_MPS_LOG_DIRECTORY/control.log"; exit 3')
    with pytest.raises(InputError, match=r"exit status 3: no permission control\.log: the log"), mps.service():
        pass
    assert not [file for file in Path("/tmp").glob(f"{mps.PREFIX}*/{mps.OWNER}") if _is_ours(file)]


def test_the_daemon_of_a_killed_launch_is_stopped_by_the_next(daemon: Path) -> None:
    with mps.service() as variables:
        owner = Path(variables[PIPES]).parent / mps.OWNER
        owner.write_text(Launch(began="before all others").to_json())  # a process of this id that is gone
        with mps.service():
            assert daemon.read_text().splitlines() == ["start", "quit -t 5", "start"]
        assert not owner.exists()


def test_workers_of_several_processes_get_the_variables(
    daemon: Path, tiny: SweepConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments: list[dict[str, str]] = []

    class Pool:
        def __init__(self, context: Any, setup: Any, *_: Any) -> None:
            environments.append(setup.environment)

        def run(self, jobs: int) -> None:
            assert daemon.read_text() == "start\n"

        def close(self) -> None: ...

    monkeypatch.setattr(processes, "check_device", lambda *_: "cuda")
    monkeypatch.setattr(processes, "Pool", Pool)
    processes.run(tiny, expand(tiny), SimpleNamespace(), Watchers([]), Stop(), jobs=2)
    assert environments[0][PIPES].startswith(f"/tmp/{mps.PREFIX}")
    assert daemon.read_text() == "start\nquit -t 5\n"


def test_a_ray_of_our_own_inherits_the_variables(
    daemon: Path, tiny: SweepConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    from sweep.engines.on_ray import starting

    inside: list[str] = []
    monkeypatch.setattr(starting, "run_on_ray", lambda *_: inside.append(os.environ[PIPES]))
    on_ray.run(tiny, expand(tiny), NO_CLAIMS, Watchers([]), Stop())
    assert inside[0].startswith(f"/tmp/{mps.PREFIX}") and PIPES not in os.environ
    assert daemon.read_text() == "start\nquit -t 5\n"


def test_on_a_cluster_the_service_is_not_ours_to_start(daemon: Path, tiny: SweepConfig) -> None:
    with pytest.raises(InputError, match=r"^compute\.mps: .*on its own machine only"):
        on_ray.run(tiny, expand(tiny), NO_CLAIMS, Watchers([]), Stop(), address="here:1")
    assert not daemon.exists()


@pytest.mark.usefixtures("no_daemon")
def test_without_the_daemon_a_launch_ends_with_exit_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes, "check_device", lambda *_: "cuda")
    (tmp_path / "tiny.yaml").write_text(TINY)
    launch = ["launch", "tiny.yaml", "--local", "--jobs", "2", "--set", "tracking.enabled=false"]
    result = CliRunner().invoke(main, launch)
    assert result.exit_code == 2
    assert "compute.mps: nvidia-cuda-mps-control is not on the PATH" in " ".join(result.output.split())


def test_it_is_off_unless_asked_for_and_no_part_of_a_trials_id(tmp_path: Path, tiny: SweepConfig) -> None:
    off = read_sweep(tmp_path / "tiny.yaml", ["compute.mps=off"])
    assert tiny.compute.mps and not off.compute.mps
    assert expand(tiny) == expand(off)


def _is_ours(file: Path) -> bool:
    return Launch.from_json(file.read_text()).pid == os.getpid()
