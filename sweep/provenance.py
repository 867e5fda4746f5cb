"""Provenance: which code, on which machine."""

import functools
import json
import platform
import resource
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from sweep import machine


def facts(device: str) -> dict[str, Any]:
    """Fields of a TrialRecord that say where it ran, with the peak memory so far."""
    return {
        **code(),
        "host": socket.gethostname(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": peak_memory(device),
        "device_memory_bytes": device_memory(device),
    }


@functools.cache
def code() -> dict[str, Any]:
    """Commit and dirty flag of the checkout this package runs from (None outside one), and versions, once a process."""
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    packages = ("sweep", "torch", "torchvision", "numpy", "pyarrow", "ray", "mlflow")
    versions = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(changes),
        "versions": json.dumps(versions),
    }


def device_name(device: str) -> str:
    """ "NVIDIA H200" for a GPU, "cpu" and its threads otherwise."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"


def peak_memory(device: str) -> int:
    """Bytes: of the GPU's allocator since it was last reset, or of this process on a CPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def device_memory(device: str) -> int:
    """Bytes that the GPU has, or that this process may use of the machine's on a CPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    return machine.memory()


def reset_peak_memory(device: str) -> None:
    """Count a GPU's peak memory from here on."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def _git(*arguments: str) -> str | None:
    here = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
