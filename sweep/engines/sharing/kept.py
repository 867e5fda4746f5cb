"""Measurements that are kept in the store: ``probes/<subject's key>-<GPU>.json``.

They decide nothing but how fast a sweep runs: one that cannot be read is measured again, and all may be deleted.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict

from sweep.engines.sharing.subjects import Subject
from sweep.errors import StoreError
from sweep.store import Store
from sweep.trial.gpu_use import GpuUse

FOLDER = "probes"


def load(store: Store, subject: Subject) -> tuple[GpuUse, ...]:
    """What is known of a subject, on whatever GPUs it was measured."""
    found = []
    for name in store.files.names(FOLDER):
        if name.startswith(f"{subject.key}-"):
            with suppress(ValueError, TypeError, KeyError):  # of another version, or damaged
                found.append(GpuUse(**json.loads(store.files.read(f"{FOLDER}/{name}") or b"")["use"]))
    return tuple(found)


def save(store: Store, subject: Subject, use: GpuUse) -> None:
    """Keep a measurement. Without one, the next launch measures again: an error of the store is ignored here."""
    card = hashlib.sha256(f"{use.card} {use.card_bytes}".encode()).hexdigest()[:8]
    text = json.dumps({"architecture": subject.label, "use": asdict(use)}, indent=1)
    with suppress(StoreError):
        store.files.put(f"{FOLDER}/{subject.key}-{card}.json", text.encode())
