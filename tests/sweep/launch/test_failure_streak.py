"""A launch whose trials all fail for one reason stops and says so; one that completes something does not."""

from types import SimpleNamespace

import pytest

from sweep.engines import Stop
from sweep.launch.failure_streak import FailureStreak
from sweep.records import COMPLETED, FAILED
from sweep.store import Store

from ..small import sweep

CONFIG = """
name: own
data: digits
grid: {architecture: "small_networks:network", method: random, sparsity: 0.5, seed: [0, 1, 2, 3, 4, 5, 6]}
pruning: {batch_size: 37}
training: {epochs: 1, batch_size: 512}
compute: {max_failures: 0}
tracking: {enabled: false}
"""


@pytest.fixture
def folder(folder, networks):
    def trouble(images):
        if len(images) > 100:
            raise ZeroDivisionError(f"too many: {len(images)}")

    networks.trouble = trouble
    return folder


def test_a_launch_stops_after_five_failures_of_one_reason(folder):
    result = sweep("launch", "own.yaml", "--local")
    assert result.code == 1 and sorted(Store("results").statuses().values()) == [FAILED] * 5
    assert (
        "Stopped: 5 trials in a row have failed for one reason, and none has completed: ZeroDivisionError" in result.out
    )
    assert "--set compute.stop_after=0" in result.out and "5 failed, 2 missing" in result.out


def test_it_goes_on_if_told_to(folder):
    result = sweep("launch", "own.yaml", "--local", "--set", "compute.stop_after=0")
    assert result.code == 1 and sorted(Store("results").statuses().values()) == [FAILED] * 7
    assert "Stopped" not in result.out


def ended(status=FAILED, error="ValueError", message="too large"):
    return SimpleNamespace(status=status, error_type=error, error_message=message)


@pytest.mark.parametrize(
    ("records", "stops"),
    [
        ([ended()] * 2, False),
        ([ended()] * 3, True),
        ([ended(message=f"tried to allocate {n} MiB at 0x{n}f") for n in range(3)], True),
        ([ended(), ended(error="KeyError"), ended(), ended()], False),
        ([ended(), ended(message="another"), ended(), ended()], False),
        ([ended(), ended(status="diverged"), ended(), ended()], False),
        ([ended(status=COMPLETED), *[ended()] * 9], False),
    ],
)
def test_failures_count_in_a_row_of_one_reason_with_nothing_completed(records, stops):
    stop = Stop()
    streak = FailureStreak(stop, 3)
    for record in records:
        streak.finished(record)
    assert stop.requested is stops
