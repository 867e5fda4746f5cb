"""The share of a network's weights that has masks, and the warning where it is below 99 %."""

import warnings

import pytest
import torch
from torch import nn

import pruning
from pruning.share import not_prunable, prunable_share, share_remark


class Classifier(nn.Module):
    """A recurrent layer between two linear ones, and a bilinear one."""

    def __init__(self, linear: int = 8):
        super().__init__()
        self.first, self.recurrent = nn.Linear(6, linear), nn.LSTM(linear, 5, batch_first=True)
        self.pairs, self.classifier = nn.Bilinear(5, 5, 4), nn.Linear(4, 2)

    def forward(self, x):
        last = self.recurrent(self.first(x))[0][:, -1]
        return self.classifier(self.pairs(last, last))


def test_recurrent_bilinear_and_embedding_weights_are_named_as_never_pruned():
    model = Classifier()
    assert not_prunable(model) == {
        "recurrent.weight_ih_l0": 20 * 8, "recurrent.weight_hh_l0": 20 * 5, "pairs.weight": 4 * 25,
    }  # fmt: skip
    assert prunable_share(model) == (48 + 8) / (48 + 8 + 160 + 100 + 100)
    assert not_prunable(nn.Sequential(nn.Embedding(9, 3), nn.GRU(3, 2), nn.RNN(2, 2))).keys() == {
        "0.weight", "1.weight_ih_l0", "1.weight_hh_l0", "2.weight_ih_l0", "2.weight_hh_l0",
    }  # fmt: skip


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm([4, 6, 6]), nn.PReLU(4)])
def test_biases_norms_and_vectors_are_no_weights(norm):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.Flatten(), nn.Linear(144, 2))
    model.token = nn.Parameter(torch.zeros(1, 1, 7))
    assert not_prunable(model) == {} and prunable_share(model) == 1.0 and share_remark(model) is None


def test_all_weights_of_attention_are_prunable():
    model = nn.TransformerEncoderLayer(8, 2, 16)
    assert prunable_share(model) == 1.0


def test_pruning_gives_the_share_and_warns_below_99_percent():
    model = Classifier()
    with pytest.warns(pruning.PruningWarning, match=r"only 13.5 % of this network's weights can be pruned.*recurrent"):
        pruned = pruning.prune(model, "random", 0.5)
    assert pruned.prunable_share == prunable_share(model) and "pairs.weight (100)" in pruned.remarks[0]
    told = []
    assert pruning.prune(model, "random", 0.5, on_remark=told.append).remarks == tuple(told)
    model.table = nn.Parameter(torch.zeros(2, 2))
    large = nn.Sequential(nn.Linear(100, 100), nn.Linear(100, 2))
    large.table = nn.Parameter(torch.zeros(10, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pruned = pruning.prune(large, "random", 0.5)
    assert 0.99 < pruned.prunable_share < 1
