"""The share of this machine that this process may use: fewer cores and less memory than there are, where a job
scheduler or a container says so (CPU affinity, and control groups of both versions)."""

import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def cores(root: Path = _ROOT) -> int:
    """Whole CPU cores, at least one: by affinity (``taskset``, Slurm), and by the quotas of control groups.

    Args:
        root: of the file system that says so.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([affinity, *_quotas(root)])))


def memory(root: Path = _ROOT) -> int:
    """Bytes: the machine's, or what control groups leave of it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [
        _number(group / name)
        for controller, name in (("", "memory.max"), ("memory", "memory.limit_in_bytes"))
        for group in _groups(root, controller)
    ]
    return int(min([machine, *(limit for limit in limits if limit)]))


def _quotas(root: Path) -> Iterator[float]:
    """Cores by each group that limits them: microseconds of processor time over those of a period."""
    for group in _groups(root, ""):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():  # or "max"
            yield int(quota) / int(period)
    for group in _groups(root, "cpu"):
        quota_v1, period_v1 = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
        if quota_v1 and period_v1:
            yield quota_v1 / period_v1


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of this process's control group and those above it, each of which may set a limit.

    Args:
        root: of the file system.
        controller: of version 1; "" for version 2, which has one hierarchy for all.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, name = (*line.split(":", 2), "", "")[:3]
        if controller not in controllers.split(","):
            continue
        for mount in {controller, controllers, "" if controller else "unified"}:
            top = root / "sys/fs/cgroup" / mount
            group = top / name.lstrip("/")  # which a container may see, or its parents, or only the top as its own
            yield from (each for each in (group, *group.parents) if each.is_relative_to(top))


def _number(file: Path) -> int | None:
    """What is in a file, if it is a number; None as well for "max" and -1, which are no limit."""
    text = _text(file)
    return int(text) if text.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
