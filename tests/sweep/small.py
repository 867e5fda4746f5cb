"""Small trials to be stopped, broken and tried again, and all that tells two outcomes apart. ``from .small import …``."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.config.compute import Compute
from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.config.trial_config import TrialConfig
from sweep.records import Outcome
from sweep.trial.settings import RunSettings

DIGITS = Path(__file__).parents[2] / "configs/digits.yaml"
STEPS, EPOCHS = 3, 3  # an epoch's, a training's
QUICK = [
    f"training.epochs={EPOCHS}", "training.batch_size=512", "grid.seed=0", "grid.sparsity=0.99", "pruning.batch_size=32",
    "grid.architecture={name: vgg_digits, width: 16, depth: 4}",
]  # fmt: skip

# What two runs of one trial may differ in
CIRCUMSTANCES = {
    "started", "seconds", "prune_seconds", "train_seconds", "images_per_second", "peak_memory_bytes", "attempts",
}  # fmt: skip
TIMES = {"images_per_second", "epoch_seconds"}

NETWORKS = """
import weakref
import torch
from torch import nn

trouble = lambda images: None  # is told of every batch in train mode, and may raise
batches = []  # how many images each had
alive = weakref.WeakSet()  # networks that were built and are still there

class Network(nn.Module):
    def __init__(self, classes, channels, width, norm, dropout):
        super().__init__()
        alive.add(self)
        norms = [nn.BatchNorm2d(width), nn.BatchNorm2d(2 * width)] if norm else [nn.Identity(), nn.Identity()]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=not norm), norms[0], nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, bias=not norm), norms[1], nn.ReLU(), nn.Dropout(dropout),
            nn.Flatten(), nn.Linear(8 * width, classes),
        )

    def forward(self, images):
        # not a tracer, and not the black images that a launch looks at a network with
        if self.training and isinstance(images, torch.Tensor) and images.any():
            batches.append(len(images))
            trouble(images)
        return self.layers(images)

def network(classes, channels, width=4, norm=False, dropout=0.0):
    return Network(classes, channels, width, norm, dropout)
"""
OWN = "small_networks:network"


class Memory:
    """A place for checkpoints, with all that were ever saved."""

    def __init__(self) -> None:
        self.saved: list[tuple[str, bytes]] = []

    def __len__(self) -> int:
        return len(self.saved)

    def load(self, trial_id: str) -> bytes | None:
        return next((data for name, data in reversed(self.saved) if name == trial_id), None)

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        self.saved.append((trial_id, checkpoint))


class Stop:
    """Is asked whether to stop; says so from the n-th time on."""

    def __init__(self, at: int | None = None):
        self.at, self.asked = at, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.at is not None and self.asked >= self.at


def with_compute(**keys: Any) -> RunSettings:
    return RunSettings(compute=Compute(**keys))


def the_trial(*settings: str) -> TrialConfig:
    """The one trial of the digits sweep as it is set."""
    [trial] = expand(read_sweep(DIGITS, [*QUICK, *settings]))
    return trial


def differences(one: Outcome, other: Outcome, but: set[str] = CIRCUMSTANCES) -> dict[str, tuple[Any, Any]]:
    """All that differs between two outcomes of one trial, masks to the byte."""
    found = {}
    for name, (left, right) in _fields(one, other).items():
        if name.rpartition(" ")[2] not in (but if " " not in name else TIMES) and left != right:
            found[name] = (left, right)
    return found


def _fields(one: Outcome, other: Outcome) -> dict[str, tuple[Any, Any]]:
    sides = [_flat(one), _flat(other)]
    return {name: tuple(side.get(name, "absent") for side in sides) for name in {**sides[0], **sides[1]}}


def _flat(outcome: Outcome) -> dict[str, Any]:
    epochs = {f"epoch {each.epoch} {k}": v for each in outcome.epochs for k, v in asdict(each).items()}
    masks = {f"mask {each.tensor} {k}": v for each in outcome.masks for k, v in asdict(each).items()}
    return asdict(outcome.trial) | epochs | masks


def own_networks(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module of :data:`NETWORKS`, imported anew."""
    (folder / "small_networks.py").write_text(NETWORKS)
    patch.syspath_prepend(folder)
    sys.modules.pop("small_networks", None)
    yield importlib.import_module("small_networks")
    sys.modules.pop("small_networks", None)


def sweep(*arguments: str) -> SimpleNamespace:
    """The command in this process."""
    result = CliRunner().invoke(main, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr)
