"""How much of a network can be pruned: in the plan, in the record and in the report."""

import sys

import pytest
from rich.console import Console

from sweep.cli.print import launches
from sweep.config.config import read_sweep
from sweep.launch.budget.budget import budget
from sweep.launch.plan import plan
from sweep.launch.preflight import check_grid
from sweep.report import write_report
from sweep.store import Store
from sweep.store.verify import verify
from sweep.trial.run import run_trial
from sweep.trial.settings import RunSettings

pytestmark = pytest.mark.slow  # launches, trainings or processes

NETWORKS = """
from torch import nn

class Rows(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.recurrent, self.classifier = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, classes)

    def forward(self, x):
        return self.classifier(self.recurrent(x[:, 0])[0][:, -1])

def recurrent(classes):
    return Rows(classes)

class Encoder(nn.Module):
    def __init__(self, classes):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.classifier = nn.Linear(64, classes)

    def forward(self, x):
        return self.classifier(self.encoder(x[:, 0]).flatten(1))

def encoder(classes):
    return Encoder(classes)

class Drawn(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first, self.second = nn.Linear(64, 16), nn.Linear(16, classes)

    def forward(self, x):
        x = self.first(x.flatten(1))
        return self.second(x.topk(16, 1).values)

def unknown(classes):
    return Drawn(classes)
"""
CONFIG = """
name: shares
data: {name: digits}
training: {epochs: 1, batch_size: 64}
pruning: {batch_size: 16}
tracking: {enabled: false}
grid: {architecture: "networks_of_shares:NAME", method: random, sparsity: 0.5, seed: 0}
"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks_of_shares.py").write_text(NETWORKS)

    def read(name):
        (tmp_path / "sweep.yaml").write_text(CONFIG.replace("NAME", name))
        return read_sweep(tmp_path / "sweep.yaml")

    yield read
    sys.modules.pop("networks_of_shares", None)


def test_plan_record_and_report_give_the_share_of_an_lstm_classifier_and_the_plan_warns(made, tmp_path, capsys):
    share = 160 / (160 + 64 * 8 + 64 * 16)
    planned = plan(made("recurrent"), Store("results"))
    grid = check_grid(planned.sweep)
    found = budget(planned, Store("results"), grid.networks)
    values = launches.plan_json(planned, grid, found)
    assert values["architectures"][0]["prunable_share"] == share
    assert any("only 9.43 % of this network's weights can be pruned" in warning for warning in values["warnings"])
    launches.plan(Console(width=500, color_system=None), planned, grid, found, "shares.yaml")
    assert "9.43 % of its weights are prunable" in capsys.readouterr().out
    (trial,) = planned.trials.values()
    outcome = run_trial(trial, settings=RunSettings(sweep="shares"))
    assert (outcome.trial.status, outcome.trial.prunable_share) == ("completed", share)
    Store("results").write(outcome)
    text = write_report([Store("results")], tmp_path / "out").summary.read_text()
    assert "160 prunable weights, 9.434% of all its weights" in text


def test_what_cannot_be_told_of_paths_is_null_in_the_record_and_a_dash_in_the_report(made, tmp_path):
    (trial,) = plan(made("unknown"), Store("results")).trials.values()
    outcome = run_trial(trial, settings=RunSettings(sweep="shares"))
    record = outcome.trial
    assert (record.status, record.prunable_share, record.achieved_sparsity) == ("completed", 1.0, 0.5)
    names = ("effective_sparsity", "disconnected", "final_effective_sparsity", "final_disconnected")
    assert [getattr(record, name) for name in names] == [None] * 4
    assert {(mask.effective_kept, mask.effective_density) for mask in outcome.masks} == {(None, None)}
    store = Store("results")
    store.write(outcome)
    stored = store.trial(record.trial_id)
    assert [getattr(stored, name) for name in names] == [None] * 4
    assert verify(Store("results"))[0] == []
    files = write_report([store], tmp_path / "out")
    heading = next(line for line in files.summary.read_text().splitlines() if "achieved (compression)" in line)
    assert "MACs left" in heading and not {"effective", "disconnected"} & set(heading.replace("|", "").split())


def test_a_trial_of_an_encoder_prunes_and_counts_its_attention(made):
    (trial,) = plan(made("encoder"), Store("results")).trials.values()
    record = run_trial(trial, settings=RunSettings(sweep="shares"))
    masks = {mask.tensor: mask for mask in record.masks}
    packed = masks["encoder.layers.0.self_attn.in_proj_weight"]
    assert record.trial.status == "completed" and record.trial.prunable_share == 1.0
    assert (packed.shape, packed.macs_dense, packed.macs_kept) == ((24, 8), 8 * 192, 8 * packed.kept)
    assert masks["encoder.layers.0.self_attn.out_proj.weight"].macs_dense == 8 * 64
    assert record.trial.kept == record.trial.prunable - round(0.5 * record.trial.prunable)
    assert record.trial.effective_sparsity is not None
