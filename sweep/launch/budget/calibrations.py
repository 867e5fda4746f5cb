"""Calibrations that are kept in the store: ``calibrations/<network and images>-<machine>.json``.

Plans read them, on any machine, until another calibration replaces them. All may be deleted.
"""

import hashlib
import json
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime

from sweep.errors import StoreError
from sweep.store import Store
from sweep.trial.timing import Timing

FOLDER = "calibrations"


def load(store: Store, steps: Iterable[str]) -> list[Timing]:
    """The timings of trials with such steps; those of this machine's CPU alone, where there are any.

    Args:
        store: where they are kept.
        steps: :attr:`Likeness.step` of the trials.
    """
    keys, found = {_hash(step, 16) for step in steps}, []
    for name in store.files.names(FOLDER):
        if name.partition("-")[0] in keys:
            with suppress(ValueError, TypeError, KeyError, StoreError):  # of another version, or damaged
                values = json.loads(store.files.read(f"{FOLDER}/{name}") or b"")
                found.append((values["host"], [Timing(**row) for row in values["timings"]]))
    own = [timings for host, timings in found if host == socket.gethostname()]
    others = [timings for host, timings in found if host != socket.gethostname()]
    is_on_cpu_here = any(timing.device.startswith("cpu") for timings in own for timing in timings)
    kept = [timing for timings in others for timing in timings if not (is_on_cpu_here and timing.device[:3] == "cpu")]
    return [timing for timings in own for timing in timings] + kept


def save(store: Store, step: str, timings: Sequence[Timing]) -> None:
    """Keep the timings of trials with such steps, all of one network and device, in place of earlier ones of this host.

    Raises:
        StoreError: the store is full or unreachable.
    """
    host, first = socket.gethostname(), timings[0]
    values = {
        "architecture": first.architecture,
        "host": host,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "timings": [asdict(timing) for timing in timings],
    }
    name = f"{_hash(step, 16)}-{_hash(f'{host} {first.device} {first.share}', 8)}"
    store.files.put(f"{FOLDER}/{name}.json", json.dumps(values, indent=1).encode())


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
