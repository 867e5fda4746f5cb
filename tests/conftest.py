"""Shared by all tests: one thread a process, so that two workers share two cores; and records by hand."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray reads it when it is first imported, by whichever test that is


from collections.abc import Callable
from typing import Any

import pytest
import torch

from pruning.masks import digest
from pruning.packing import pack
from sweep.records import EpochRecord, MaskRecord, Outcome, TrialRecord

torch.set_num_threads(1)


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
