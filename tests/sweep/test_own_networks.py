"""Trials of networks of one's own: their weights, their draws, their outputs."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sweep.config import TrialConfig, read_sweep
from sweep.grid import expand
from sweep.trial import run_trial
from training import data

DIGITS = Path(__file__).parents[2] / "configs/digits.yaml"
NETWORKS = """
import random
import numpy as np
import torch
from torch import nn

class Drawing(nn.Module):
    def forward(self, x):
        if self.training:
            x = x * (0.5 + random.random() + np.random.rand())
        return x * (1.0 + 1e-3 * random.random())  # in evaluation, too

def drawing(classes, width=8):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, width), Drawing(), nn.ReLU(), nn.Linear(width, classes))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor(np.random.randn(width, 64), dtype=torch.float32) / 8)
        for row in model[4].weight:
            row.fill_(random.gauss(0, 1) / width)
    return model
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder to work in, with these networks in it."""
    (tmp_path / "nets.py").write_text(NETWORKS)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("nets", None)
    yield tmp_path
    sys.modules.pop("nets", None)


def trial(architecture: str, *settings: str, method: str = "snip") -> TrialConfig:
    """The one trial of an architecture on the digits."""
    quick = ["training.epochs=1", "training.batch_size=512", "grid.seed=0", "grid.sparsity=0.9",
             "pruning.batch_size=32", f"grid.method={method}", f"grid.architecture={architecture}"]  # fmt: skip
    [only] = expand(read_sweep(DIGITS, [*quick, *settings]))
    return only


@pytest.fixture(scope="module")
def digits():
    return data.load(trial("{name: vgg_digits, width: 4, depth: 3}").data)


def test_networks_that_draw_from_random_and_numpy_give_the_same_trial_whatever_was_drawn_before(own, digits):
    found = []
    for state in (1, 2):
        random.seed(state)
        np.random.seed(state)
        torch.manual_seed(state)
        found.append(run_trial(trial('{name: "nets:drawing", init: default}'), digits))
    first, second = (
        {
            name: getattr(outcome.trial, name)
            for name in (
                "status",
                "initial_weights_hash",
                "mask_hash",
                "gradient_norm",
                "test_loss",
                "final_weights_hash",
            )
        }
        | {"validation": [epoch.validation_loss for epoch in outcome.epochs]}
        for outcome in found
    )
    assert first["status"] == "completed", found[0].trial.error_message
    assert first == second
