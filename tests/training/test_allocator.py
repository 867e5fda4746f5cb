"""Freed memory is kept for later tensors, and can be returned to the system."""

import os
import subprocess
import sys

import pytest

from training import allocator

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")

WORK = """
import resource, threading, torch
from training import allocator

WEIGHTS = [torch.rand(2_000_000) for _ in range(10)]

def scored():  # as a round of pruning does, with 80 MB
    gradients = [weight * 2 for weight in WEIGHTS]
    scores = [(weight * g).abs() for weight, g in zip(WEIGHTS, gradients)]
    return [score > 1 for score in scores]

def faults_of_ten():
    scored()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        scored()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

def in_a_thread():
    thread = threading.Thread(target=faults_of_ten)
    thread.start()
    thread.join()
"""
RESIDENT = """
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
"""


def numbers(code, **environment):
    command = [sys.executable, "-c", WORK + code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | environment)
    return [int(word) for word in done.stdout.split()]


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Without what the machine that runs the tests may have set already."""
    for name in allocator.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_the_main_thread_reuses_freed_memory_without_page_faults():
    before, after = numbers("faults_of_ten(); assert allocator.keep_freed_memory(); faults_of_ten()")
    assert before > 10_000
    assert after < before / 4


@pytest.mark.slow
def test_a_process_started_in_the_environment_does_so_in_every_thread():
    [before], [after] = numbers("in_a_thread()"), numbers("in_a_thread()", **allocator.ENVIRONMENT)
    assert before > 10_000
    assert after < before / 4


@pytest.mark.slow
def test_freed_memory_can_be_returned_to_the_system():
    code = "allocator.keep_freed_memory(); faults_of_ten(); full = resident(); allocator.give_back()"
    [_, returned] = numbers(f"{RESIDENT}\n{code}; print(full - resident())")
    assert returned > 50_000_000
