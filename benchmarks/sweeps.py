"""Whole sweeps: forty small trials on this machine's cores, beside their compute and beside a bash loop."""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import Row, Setup
from sweep.store import Store

EPOCHS, ROUNDS = 10, 60  # of configs/digits.yaml
METHODS, SPARSITIES, SEEDS = ("random", "snip", "iter_snip", "force"), (0.9, 0.95, 0.98, 0.99, 0.995), (0, 1)
PLAIN = 8  # of the forty; the others would take as long


def run(setup: Setup) -> Iterator[Row]:
    """All rows. ``full`` runs all forty trials the plain way too."""
    if setup.device != "cpu":
        return
    cores = 2
    ours, compute = sweep(FORTY)
    pool, of_pool = sweep(FORTY, "--local", "--jobs", str(cores))
    trials = len(METHODS) * len(SPARSITIES) * len(SEEDS)
    yield _one(
        "sweep of 40 small trials, beside Σ compute / 2 cores",
        ours / (compute / cores),
        at_most=1.15,
        ours=ours,
        reference=compute / cores,
    )
    yield _one(
        "the same without Ray, --local --jobs 2",
        pool / (of_pool / cores),
        at_most=1.15,
        ours=pool,
        reference=of_pool / cores,
    )
    yield _one(
        "engine and start-up a trial, beside the trial's own time",
        (ours - compute / cores) / trials / (compute / trials),
    )
    chosen = list(itertools.product(METHODS, SPARSITIES, SEEDS))
    chosen = chosen if setup.full else chosen[:: trials // PLAIN]
    scale = trials / len(chosen)
    one = bash(chosen, at_once=1) * scale
    two = bash(chosen, at_once=2) * scale
    yield _one(
        "the same, against a bash loop with a fresh process a trial", one / ours, at_least=1.5, ours=ours, reference=one
    )
    yield _one(
        "the same, against such a loop with two processes at once, a thread each", two / ours, ours=ours, reference=two
    )


def _one(name: str, value: float, **more: Any) -> Row:
    return Row("sweeps", name, value, value, value, **more)


FORTY = {
    "name": "forty",
    "data": {"name": "digits"},
    "grid": {
        "architecture": "vgg_digits",
        "method": ["random", "snip", {"name": "iter_snip", "rounds": ROUNDS}, {"name": "force", "rounds": ROUNDS}],
        "sparsity": list(SPARSITIES),
        "seed": list(SEEDS),
    },
    "training": {"epochs": EPOCHS, "batch_size": 64, "schedule": "cosine"},
}


def sweep(config: dict[str, Any], *options: str) -> tuple[float, float]:
    """Wall seconds of ``sweep launch`` for a config, in a folder of its own, and the seconds of all trials together."""
    with tempfile.TemporaryDirectory() as name:
        path, store = Path(name) / "sweep.yaml", Path(name) / "store"
        path.write_text(yaml.safe_dump({**config, "tracking": {"enabled": False}, "store": str(store)}), "utf-8")
        start = time.perf_counter()
        command = [str(Path(sys.executable).with_name("sweep")), "launch", str(path), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - start
        rows = Store(store).trials().to_pylist()
    assert {row["status"] for row in rows} == {"completed"}
    return wall, sum(row["seconds"] for row in rows)


def bash(trials: list[tuple[str, float, int]], at_once: int) -> float:
    """Wall seconds of a loop that starts Python for every trial."""
    lines = "".join(f"{method} {sparsity} {seed}\n" for method, sparsity, seed in trials)
    threads = {} if at_once == 1 else {"OMP_NUM_THREADS": "1"}
    command = [
        "xargs",
        "-P",
        str(at_once),
        "-L",
        "1",
        "sh",
        "-c",
        f'exec "{sys.executable}" -m benchmarks.plain_trial "$@" {EPOCHS} {ROUNDS}',
        "plain",
    ]
    start = time.perf_counter()
    subprocess.run(command, input=lines, text=True, check=True, stdout=subprocess.DEVNULL, env=os.environ | threads)
    return time.perf_counter() - start
