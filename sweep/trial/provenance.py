"""Provenance: which code, on which machine."""

import functools
import json
import platform
import socket
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from sweep.trial import checkout, machine

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def machine_fields(device: str, has_peak: bool) -> dict[str, Any]:
    """Fields of a TrialRecord that say where it ran, with the peak memory so far if that ``has_peak``."""
    return {
        **code(),
        "host": socket.gethostname(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": peak_memory(device) if has_peak else None,
        "device_memory_bytes": device_memory(device),
    }


@functools.cache
def code() -> dict[str, Any]:
    """Commit and dirty flag of this code's own checkout (None outside one), and versions; once a process."""
    commit = checkout.commit()
    packages = ("sweep", "torch", "torchvision", "numpy", "pyarrow", "ray", "mlflow")
    versions = {"python": platform.python_version()}
    if own := checkout.version():  # where the code runs without being installed
        versions["sweep"] = own
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "git_commit": commit.name if commit else None,
        "git_dirty": commit.is_dirty if commit else None,
        "versions": json.dumps(versions),
    }


def device_name(device: str) -> str:
    """ "NVIDIA H200" for a GPU, "cpu" and its threads otherwise."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)"


def peak_memory(device: str) -> int | None:
    """Bytes since :func:`reset_peak_memory` could count from there: of the GPU's allocator, or of this process."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    try:
        [line] = [line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        return None


def device_memory(device: str) -> int:
    """Bytes that the GPU has, or that this process may use of the machine's on a CPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    return machine.memory()


def reset_peak_memory(device: str) -> bool:
    """Count the peak memory from here on. Whether that can be: on a CPU, where Linux lets a process do so."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        _CLEAR.write_text("5")  # its own word for the peak
        return True
    except OSError:
        return False
