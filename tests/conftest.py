"""Shared by all tests: one thread a process, so that two workers share two cores; and records by hand."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray reads it when it is first imported, by whichever test that is


import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from pruning.masks import digest
from pruning.packing import pack
from sweep.records import EpochRecord, MaskRecord, Outcome, TrialRecord

torch.set_num_threads(1)
try:
    from hypothesis import settings
except ModuleNotFoundError:  # tests marked cuda do without
    pass
else:
    settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
    settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Tests marked ``cuda`` need an NVIDIA GPU."""
    config.addinivalue_line("markers", "cuda: needs an NVIDIA GPU (skipped where there is none)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``cuda`` are skipped, and counted, where there is no GPU."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


def make_outcome(trial_id: str = "a" * 16, status: str = "completed", **facts: Any) -> Outcome:
    """The records of a small trial of two epochs and one masked tensor."""
    what: dict[str, Any] = {
        "sweep": "test", "data": "digits", "data_encoding": "exact", "architecture": "vgg_digits",
        "architecture_options": "{}", "architecture_label": "vgg_digits", "method": "snip", "method_options": "{}",
        "method_label": "snip", "sparsity": 0.5, "seed": 0, "config": "{}", "classes": 10,
        "test_accuracy": 0.9, "epochs": 2, "prunable": 8, "kept": 4,
    }  # fmt: skip
    mask = torch.tensor([[True, False, True, False], [False, True, False, True]])
    encoding, packed = pack(mask)
    masks = MaskRecord(trial_id, "0.weight", 0, (2, 4), 8, 4, 0.5, 4, encoding, packed, digest(mask))
    epochs = tuple(EpochRecord(trial_id, e, 1.0 / e, 0.5, 1.0, 0.4, 0.1, 100.0, 1.0) for e in (1, 2))
    return Outcome(TrialRecord(trial_id=trial_id, status=status, **(what | facts)), epochs, (masks,))


@pytest.fixture
def outcome() -> Callable[..., Outcome]:
    """Factory of small outcomes."""
    return make_outcome


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """A real S3 protocol on loopback: the end of an ``s3://`` address."""
    port = 5600 + os.getpid() % 300
    environment = os.environ | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"endpoint_override=http://127.0.0.1:{port}&scheme=http&region=us-east-1&allow_bucket_creation=true"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=10)
