"""What this process may use of the machine: real affinity, and control groups as their files have them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.trial import machine, provenance


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty file system on a machine with 64 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    return tmp_path


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_cores_are_those_of_the_affinity() -> None:
    [one, *_] = os.sched_getaffinity(0)
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); from sweep.trial import machine; print(machine.cores())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 64),
        ({"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": "300000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/job/step\n", "sys/fs/cgroup/job/cpu.max": "200000 100000\n",
          "sys/fs/cgroup/job/step/cpu.max": "max 100000\n"}, 2),  # a limit of the group above
        ({"proc/self/cgroup": "0::/docker/of/the/host\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "4:cpu,cpuacct:/job\n3:memory:/\n",
          "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "450000\n",
          "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"}, 4),
        ({"proc/self/cgroup": "1:cpu:/\n0::/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 64),
    ],
)  # fmt: skip
def test_cores_are_no_more_than_the_control_groups_grant(root: Path, files: dict[str, str], cores: int) -> None:
    put(root, files)
    assert machine.cores(root) == cores


def test_memory_is_no_more_than_the_control_groups_grant(root: Path) -> None:
    whole = machine.memory(root)
    assert whole == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    put(root, {"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/memory.max": "max\n"})
    assert machine.memory(root) == whole
    put(root, {"sys/fs/cgroup/job/memory.max": f"{2**30}\n"})
    assert machine.memory(root) == 2**30
    put(root, {"proc/self/cgroup": "4:memory:/job\n", "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{2**29}\n"})
    assert machine.memory(root) == 2**29


def test_a_record_has_the_memory_that_its_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: 123)
    assert provenance.machine_fields("cpu", has_peak=True)["device_memory_bytes"] == 123


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="this system has no peak to be reset")
def test_peak_memory_is_since_it_was_last_reset() -> None:
    assert provenance.reset_peak_memory("cpu")
    large = bytearray(b"1" * 2**28)
    after = provenance.peak_memory("cpu")
    del large
    assert provenance.reset_peak_memory("cpu")
    again = provenance.peak_memory("cpu")
    assert after and again and again < after - 2**27


def test_where_the_peak_cannot_be_reset_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(provenance, "_CLEAR", tmp_path / "none/clear_refs")
    assert not provenance.reset_peak_memory("cpu")
    assert provenance.machine_fields("cpu", has_peak=False)["peak_memory_bytes"] is None
