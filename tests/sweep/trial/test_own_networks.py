"""Trials of networks of one's own: their weights, their draws, their outputs."""

import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.report import panels
from sweep.trial.run import run_trial
from training import data

from ..report.conftest import trial as record
from ..small import sweep

pytestmark = pytest.mark.slow  # launches, trainings or processes

DIGITS = Path(__file__).parents[3] / "configs/digits.yaml"
NETWORKS = """
import random
import typing
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

def plain(classes, width=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))

def constant(classes, width=8):
    model = plain(classes, width)
    for parameter in model.parameters():
        nn.init.constant_(parameter, 1 / 8)
    return model

def loading(classes):
    model = plain(classes)
    model.load_state_dict(torch.load("weights.pt"))
    return model

def pretrained(classes):
    model = plain(classes)
    model[1].load_state_dict({"weight": torch.ones(8, 64), "bias": torch.zeros(8)})
    return model

def asking(classes):
    model = plain(classes)
    assert model[1].weight.abs().max().item() > 0
    model[3].weight.data.copy_(torch.from_numpy(np.eye(classes, 8, dtype=np.float32)))
    return model

def channelled(classes, channels=64):
    return plain(classes, channels)

def convolution(classes, channels=3):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Flatten(), nn.Linear(144, classes))

class Heads(nn.Module):
    def __init__(self, classes, kind, always):
        super().__init__()
        self.body, self.head, self.auxiliary = nn.Linear(64, 16), nn.Linear(16, classes), nn.Linear(16, classes)
        self.kind, self.always = kind, always

    def forward(self, images):
        features = torch.relu(self.body(images.flatten(1)))
        logits = self.head(features)
        if not (self.training or self.always):
            return logits
        outputs = logits, self.auxiliary(features)
        if self.kind == "named":
            return Outputs(*outputs)
        return dict(zip(("out", "aux"), outputs)) if self.kind == "dict" else outputs

class Outputs(typing.NamedTuple):
    logits: torch.Tensor
    auxiliary: torch.Tensor

def heads(classes, kind="tuple", always=False):
    return Heads(classes, kind, always)

class Wrong(nn.Sequential):
    def forward(self, images):
        return super().forward(images)[:, :3] if self.training else super().forward(images)

def wrong_in_training(classes):
    return Wrong(*plain(classes))

def initialised(classes, init="own"):
    return plain(classes)

class Around(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer, self.classifier = nn.Linear(64, 16), nn.Linear(16, classes)

    def forward(self, x):
        weight = self.layer.weight - self.layer.weight.mean(1, keepdim=True)
        return self.classifier(torch.relu(nn.functional.linear(x.flatten(1), weight)))

class Standardised(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x, self.weight - self.weight.mean(1, keepdim=True), self.bias)

def unprunable(classes, how):
    if how == "inference":
        with torch.inference_mode():
            return plain(classes)
    model = plain(classes)
    return {
        "frozen": lambda: model.requires_grad_(False),
        "parallel": lambda: nn.DataParallel(model),
        "script": lambda: torch.jit.script(model),
        "lazy": lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(classes)),
        "half": lambda: model.bfloat16(),
        "around": lambda: Around(classes),
        "standardised": lambda: nn.Sequential(nn.Flatten(), Standardised(64, classes)),
    }[how]()
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


def plan(architecture: str, *settings: str) -> dict:
    """What `sweep plan --json` says of a grid with this architecture."""
    done = sweep("plan", str(DIGITS), "--json", *(part for setting in
                 ("grid.seed=0", "grid.sparsity=0.9", f"grid.architecture={architecture}", *settings)
                 for part in ("--set", setting)))  # fmt: skip
    assert done.code == 0, done.err
    assert done.err == ""
    return json.loads(done.out)


def refused(architecture: str, *settings: str) -> str:
    """The error of a plan."""
    given = (part for setting in (f"grid.architecture={architecture}", *settings) for part in ("--set", setting))
    done = sweep("plan", str(DIGITS), *given)
    assert done.code == 2
    return done.err


def test_a_factorys_own_weights_are_trained_unless_an_initialiser_is_named(own, digits):
    model = run_trial(trial("nets:constant", "training.epochs=0", method="dense"), digits).trial
    drawn = run_trial(
        trial("{name: 'nets:constant', init: kaiming_normal}", "training.epochs=0", method="dense"), digits
    ).trial
    assert model.config.count('"init":"default"') == 1
    assert model.test_accuracy == pytest.approx(0.1, abs=0.02)  # all logits of constant weights are equal
    assert model.initial_weights_hash != drawn.initial_weights_hash


def test_the_initialiser_of_ones_own_factory_is_in_the_trials_id_and_in_the_plan(own):
    ids = [trial_id(trial(name)) for name in
           ("nets:plain", "{name: 'nets:plain', init: default}", "{name: 'nets:plain', init: kaiming_normal}")]  # fmt: skip
    assert ids[0] == ids[1] != ids[2]
    assert ids[2] == "5a6201d92d648b75"  # that of "nets:plain" while kaiming_normal was the default
    found = plan("[nets:plain, {name: 'nets:plain', init: orthogonal}, vgg_digits]")["architectures"]
    assert [(row["init"], row["file"]) for row in found] == [
        ("default", "nets.py"), ("orthogonal", "nets.py"), ("kaiming_normal", None),
    ]  # fmt: skip
    shown = sweep("plan", str(DIGITS), "--set", "grid.architecture=[nets:plain, vgg_digits]").out
    assert "nets:plain: from nets.py, initial weights by default (as its factory makes them)\n" in shown
    assert "vgg_digits: initial weights by kaiming_normal\n" in shown


def test_a_path_is_one_name_however_it_is_written(own):
    assert trial_id(trial("./lab/../nets.py:plain")) == trial_id(trial("nets.py:plain"))
    assert "nets.py:plain stands twice in the grid" in refused("['./nets.py:plain', {name: 'nets.py:plain'}]")


def test_an_option_that_a_config_cannot_set_is_refused(own):
    assert "has an option called 'init', which a config cannot set; rename it" in refused("nets:initialised")


@pytest.mark.parametrize("name", ["asking", "loading"])
def test_a_factory_that_looks_at_its_weights_or_loads_a_checkpoint_is_planned_without_a_warning(own, name):
    torch.save(
        torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)
        ).state_dict(),
        "weights.pt",
    )
    found = plan(f"nets:{name}")
    assert {row["prunable"] for row in found["trials"]} == {64 * 8 + 8 * 10}
    assert found["warnings"] == []


def test_what_a_network_prints_is_no_part_of_a_plan(own):
    (own / "chatty.py").write_text(
        "import nets\nprint('imported')\n\ndef build(classes):\n    print('built')\n    return nets.plain(classes)\n"
    )
    done = sweep("plan", str(DIGITS), "--json", "--set", "grid.architecture=chatty:build")
    assert json.loads(done.out)["architectures"][0]["file"] == "chatty.py"
    assert {"imported", "built"} <= set(done.err.split())


def test_a_default_that_is_called_channels_is_kept_and_told(own):
    found = plan("nets:channelled")
    assert {row["prunable"] for row in found["trials"]} == {64 * 64 + 64 * 10}
    [warning] = found["warnings"]
    assert "nets:channelled channels" not in warning
    assert "channels=64 is an option of the factory, but the images have channels=1" in warning
    assert trial("{name: 'nets:channelled', channels: 3}").architecture.label == "nets:channelled channels=3"


def test_a_default_that_does_not_fit_the_images_is_named_where_the_network_fails(own):
    told = refused("nets:convolution")
    assert "RuntimeError: Given groups=1" in told
    assert "channels=3 is an option of the factory, but the images have channels=1" in told


def test_milestones_that_no_epoch_reaches_are_warned_of_and_run(own):
    [warning] = plan(
        "nets:plain", "training.schedule=multistep", "training.epochs=5", "training.milestones=[3, 5, 80]"
    )["warnings"]
    assert "[3, 5, 80] in a training of 5 epochs: 5, 80 is not reached" in warning
    assert (
        plan("nets:plain", "training.schedule=multistep", "training.epochs=5", "training.milestones=[3, 4]")["warnings"]
        == []
    )
    late = ["training.schedule=multistep", "training.epochs=1", "training.milestones=[80, 120]", "grid.seed=0", "grid.sparsity=0.9", "grid.method=snip",
            "grid.architecture=nets:plain", "tracking.enabled=false"]  # fmt: skip
    done = sweep("launch", str(DIGITS), "--local", *(part for setting in late for part in ("--set", setting)))
    assert done.code == 0
    assert "warning: training.milestones: [80, 120] in a training of 1 epochs: none of them is reached" in done.out


def test_reinitialising_a_network_whose_weights_are_fixed_is_refused(own, digits):
    message = "'ablation: reinitialize' would change nothing: the factory makes the same weights"
    assert message in refused("nets:constant", "grid.ablation=[none, reinitialize]")
    outcome = run_trial(trial("nets:constant", "grid.ablation=reinitialize"), digits).trial
    assert outcome.status == "failed"
    assert message in outcome.error_message
    [warning] = plan("nets:pretrained", "grid.ablation=[none, reinitialize]")["warnings"]
    assert "leaves 1 of 2 prunable tensors as they are" in warning
    redrawn = "{name: 'nets:constant', init: kaiming_normal}"
    assert plan(redrawn, "grid.ablation=[none, reinitialize]")["warnings"] == []
    assert run_trial(trial(redrawn, "grid.ablation=reinitialize"), digits).trial.status == "completed"


@pytest.mark.parametrize("options", ["", "kind: named", "kind: dict", "always: true", "kind: dict, always: true"])
@pytest.mark.parametrize("method", ["snip", "synflow"])
def test_of_several_outputs_the_first_is_scored_trained_and_tested(own, digits, method, options):
    heads = f"{{name: 'nets:heads', {options}}}" if options else "nets:heads"
    outcome = run_trial(trial(heads, "pruning.mode=train", "training.epochs=5", "training.batch_size=64",
                              "grid.sparsity=0.5", method=method), digits)  # fmt: skip
    assert (outcome.trial.status, outcome.trial.error_message) == ("completed", None)
    assert outcome.trial.test_accuracy > 0.5
    assert outcome.trial.kept == (64 * 16 + 2 * 16 * 10) // 2
    [warning] = plan(heads)["warnings"]
    assert "it answers with more than logits: the first output is scored, trained and tested" in warning


def test_a_network_that_answers_otherwise_in_train_mode_is_refused_by_the_plan(own):
    assert "answers with [2, 3] in train mode, not with [2, 10] logits" in refused("nets:wrong_in_training")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("frozen", "every parameter of the model is frozen"),
        ("parallel", "is wrapped in nn.DataParallel, which copies its weights: unwrap it"),
        ("script", "is a compiled torch.jit module"),
        ("lazy", "weight of 1 has no shape yet"),
        ("half", "is in half precision, in which saliencies vanish"),
        ("inference", "was made under torch.inference_mode()"),
        ("around", "layer.weight is used only by something made of it that is not zero where it is"),
        ("standardised", "1 (Standardised) computes with something made of its weight"),
    ],
)
def test_a_network_that_cannot_be_pruned_or_trained_is_refused_by_the_plan(own, how, message):
    assert message in refused(f"{{name: 'nets:unprunable', how: {how}}}")


def test_old_and_new_initial_weights_of_one_factory_do_not_share_a_table():
    old = record("snip", 0.9, 0, 0.5, trial_id="old", architecture_label="nets:plain")
    config = json.loads(old.config)
    old = replace(old, config=json.dumps(config | {"architecture": {"name": "nets:plain", "init": "kaiming_normal"}}))
    new = replace(
        old, trial_id="f" * 16, config=json.dumps(config | {"architecture": {"name": "nets:plain", "init": "default"}})
    )
    assert [panel.setting for panel in panels([old, new])] == [
        "architecture.init=default",
        "architecture.init=kaiming_normal",
    ]
