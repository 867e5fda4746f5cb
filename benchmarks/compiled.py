"""torch.compile: what a training step would gain by it, and what its first step would wait."""

import os
import tempfile
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch

from benchmarks import networks
from benchmarks.measure import Row, Setup, gain, seconds
from benchmarks.training import LABEL, stepper


def run(setup: Setup) -> Iterator[Row]:
    """Two rows a network: a compacted trial's network is one of its own, so that every trial would compile."""
    precision, mode = ("fp32", "default") if setup.device == "cpu" else ("bf16", "reduce-overhead")  # CUDA graphs
    with tempfile.TemporaryDirectory() as nothing_yet, patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=nothing_yet):
        yield from _rows(precision, mode, setup)


def _rows(precision: str, mode: str, setup: Setup) -> Iterator[Row]:
    for name, label in LABEL.items():
        compiled: Any = torch.compile(networks.build(name, setup.device), mode=mode)
        theirs = stepper(compiled, None, name, precision, setup)
        first = seconds(theirs, setup.device)
        title = f"{label}, {precision}: by torch.compile"
        yield Row("compiled", f"first training step, {title}", first, first, first, unit="s")
        plain = stepper(networks.build(name, setup.device), None, name, precision, setup)
        yield gain("compiled", f"training step, {title}, against as it is", theirs, plain, pairs=9, device=setup.device)
