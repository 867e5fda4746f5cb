"""Layers that are excluded by name stay dense under every method."""

import re

import pytest
import torch
from torch import nn

import pruning
from pruning.compaction.compaction import compact
from pruning.diagnostics import diagnose
from pruning.macs import macs, positions
from pruning.masks import count, kept_count

from .networks import batch, convolutional, residual

METHODS = [name for name in pruning.names() if pruning.find(name).removes]


def total(model, exclude=()):
    return sum(weight.numel() for weight in pruning.prunable(model, exclude).values())


@pytest.mark.parametrize("method", METHODS)
def test_an_excluded_layer_has_no_mask_and_the_count_is_exact_over_the_others(method):
    preset = pruning.find(method)
    model, rounds = residual(), {"rounds": 3} if preset.rounds else {}
    data = [batch(number) for number in range(preset.batches(preset.options))]
    masks = pruning.prune(model, method, 0.8, data, exclude=["classifier", "stem"], **rounds).masks
    assert list(masks) == ["down.weight", "shortcut.weight", "same.weight"]
    assert count(masks) == kept_count(total(model, ["classifier", "stem"]), 0.8)
    assert total(model) == total(model, ["classifier", "stem"]) + 216 + 64


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("1.0", ["1.0.weight"]),
        ("1", ["1.0.weight", "1.2.weight"]),  # a module's name is all that is in it
        ("1.*", ["1.0.weight", "1.2.weight"]),
        ("*.0", ["1.0.weight"]),
        ("1.[23]", ["1.2.weight"]),
        ("2.weight", ["2.weight"]),
    ],
)
def test_a_layer_is_named_by_itself_a_module_around_it_or_a_pattern(pattern, left_out):
    inner = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    model = nn.Sequential(nn.Linear(4, 8), inner, nn.Linear(8, 2))
    names = ["0.weight", "1.0.weight", "1.2.weight", "2.weight"]
    assert list(pruning.prunable(model, [pattern])) == [name for name in names if name not in left_out]


def test_a_name_with_a_bracket_names_itself():
    model = nn.Sequential()
    model.add_module("a[0]", nn.Linear(4, 4))
    model.add_module("b", nn.Linear(4, 4))
    assert list(pruning.prunable(model, ["a[0]"])) == ["b.weight"]


def test_a_layer_of_two_names_goes_by_both():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.body = nn.Sequential(self.first, nn.Linear(4, 4))

    for name in ("first", "body.0"):
        assert list(pruning.prunable(Twice(), [name])) == ["body.1.weight"]


def test_attention_is_excluded_with_all_its_projections():
    model = nn.TransformerEncoderLayer(8, 2, 16)
    assert list(pruning.prunable(model, ["self_attn"])) == ["linear1.weight", "linear2.weight"]


@pytest.mark.parametrize(
    ("exclude", "message"),
    [
        (["classifer"], "exclude: 'classifer' matches no prunable layer; did you mean 'classifier'"),
        (["stem", "Stem"], "exclude: 'Stem' matches no prunable layer"),
        (["norm"], "exclude: 'norm' matches no prunable layer"),  # never pruned
        (["zzz.*"], "matches no prunable layer; there are stem, down, shortcut, …"),
        (["*"], "exclude: nothing is left to prune"),
    ],
)
def test_a_pattern_that_names_nothing_is_refused_with_the_nearest_names(exclude, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        pruning.prune(residual(), "magnitude", 0.5, exclude=exclude)


def test_excluded_layers_count_as_dense_in_the_multiply_accumulates_and_not_in_the_sparsity():
    model = residual()
    masks = pruning.prune(model, "snip", 0.9, [batch()], exclude=["stem"]).masks
    found, uses = diagnose(model, masks, [batch()], exclude=["stem"]), positions(model, (3, 8, 8))
    assert found.macs_dense == macs(dict(pruning.prunable(model)), uses, torch.numel)
    assert found.macs_kept == 64 * 216 + macs(masks, uses, torch.count_nonzero)
    assert found.sparsity == 1 - count(masks) / total(model, ["stem"])
    assert found.effective_sparsity >= found.sparsity
    assert list(found.layers) == list(masks)


def test_excluded_layers_do_not_make_paths_look_cut_off():
    model = convolutional()
    masks = pruning.prune(model, "magnitude", 0.0, exclude=["0", "10"]).masks
    assert diagnose(model, masks, [batch()], exclude=["0", "10"]).effective_sparsity == 0


def test_the_network_is_compacted_around_layers_that_have_no_mask():
    model = convolutional(width=16)
    masks = pruning.prune(model, "magnitude", 0.9, exclude=["0"]).masks
    masks["4.weight"][8:] = False
    pruning.apply(model, masks)
    small = compact(model, masks, (3, 8, 8))
    assert small is not None
    assert small.weights < small.weights_dense == total(model, ["0"])
    images = batch()[0]
    assert torch.allclose(small.model.eval()(images), model.eval()(images), atol=1e-6)


def test_the_fast_passes_of_bf16_score_the_same_layers():
    model = convolutional(width=16)
    masks = pruning.prune(
        model, "force", 0.99, [batch()], rounds=6, precision="bf16", exclude=["0"], scope="layerwise"
    ).masks
    assert list(masks) == ["4.weight", "10.weight"]
    assert count(masks) == kept_count(total(model, ["0"]), 0.99)


def test_a_walk_passes_excluded_layers_without_taking_their_weights():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    masks = pruning.prune(model, "phew", 0.9, [batch()], exclude=["3"]).masks
    assert list(masks) == ["1.weight", "5.weight"]
    assert count(masks) == kept_count(1568, 0.9)
    fed, read = masks["1.weight"].any(1), masks["5.weight"].any(0)
    assert fed.any()
    assert read.any()
