"""A store with two data sets, two methods and two sweeps, on a disk."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from sweep.records import Outcome, SweepRecord
from sweep.store import Store


@pytest.fixture
def filled(local: Store, outcome: Callable[..., Outcome]) -> Store:
    """Trials 0 to 7: digits and CIFAR-10, SNIP and FORCE, two seeds each; 8 failed. Sweep "first" has 0 to 3."""
    number = 0
    for data in ("digits", "cifar10"):
        for method, label in (("snip", "snip"), ("force", "force rounds=300")):
            for seed in (0, 1):
                accuracy = 0.5 + number / 100
                names = {"data": data, "method": method, "method_label": label}
                local.write(outcome(f"{number:016x}", seed=seed, test_accuracy=accuracy, sweep="all", **names))
                number += 1
    error = {"error_message": "out of\nmemory | \x1b[1mbad", "error_type": "GpuError"}
    local.write(outcome(f"{number:016x}", "failed", test_accuracy=None, seed=2, sweep="all", **error))
    ids = tuple(f"{trial:016x}" for trial in range(4))
    local.write_sweep(SweepRecord("first", "{}", ids, datetime(2026, 1, 1, tzinfo=UTC)))
    return local
