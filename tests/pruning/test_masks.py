"""Exact selection, application and comparison of masks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pruning.masking import FixedMask
from pruning.masks import (
    apply,
    count,
    digest,
    full,
    keep_highest,
    keep_highest_per_layer,
    kept_count,
    prunable,
    sparsity,
)

SCORES = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 0.5, 2.0, float("inf")]), min_size=1, max_size=40)


def test_highest_scores_are_kept_over_all_layers():
    scores = {"a": torch.tensor([[1.0, 5.0], [2.0, 0.0]]), "b": torch.tensor([4.0, 3.0])}
    masks = keep_highest(scores, 3, full(scores))
    assert masks["a"].tolist() == [[False, True], [False, False]]
    assert masks["b"].tolist() == [True, True]


def test_kept_count_is_exact_when_all_scores_tie():
    scores = {"a": torch.zeros(3, 3), "b": torch.zeros(4)}
    masks = keep_highest(scores, 5, full(scores))
    assert count(masks) == 5
    assert masks["a"].reshape(-1).tolist() == [True] * 5 + [False] * 4


def test_ties_at_the_threshold_are_broken_by_index():
    scores = {"a": torch.tensor([1.0, 1.0, 9.0, 1.0, 0.0])}
    assert keep_highest(scores, 3, full(scores))["a"].tolist() == [True, True, True, False, False]


def test_fewer_nonzero_scores_than_kept_weights_do_not_make_the_mask_dense():
    scores = {"a": torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])}
    assert keep_highest(scores, 2, full(scores))["a"].tolist() == [True, False, True, False, False]


def test_a_removed_weights_score_never_outranks_a_negative_live_one():
    scores = {"a": torch.tensor([0.0, -3.0, -2.0, 7.0])}
    among = {"a": torch.tensor([False, True, True, False])}
    assert keep_highest(scores, 1, among)["a"].tolist() == [False, False, True, False]


@given(SCORES, st.data())
def test_kept_count_is_exact_and_no_kept_score_is_below_a_removed_one(values, data):
    scores = {"a": torch.tensor(values)}
    kept = data.draw(st.integers(0, len(values)))
    mask = keep_highest(scores, kept, full(scores))["a"]
    assert int(mask.sum()) == kept
    if 0 < kept < len(values):
        assert scores["a"][mask].min() >= scores["a"][~mask].max()


@given(SCORES, st.data())
def test_selection_agrees_with_a_stable_sort(values, data):
    kept = data.draw(st.integers(0, len(values)))
    scores = {"a": torch.tensor(values)}
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    mask = keep_highest(scores, kept, full(scores))["a"]
    assert mask.nonzero().squeeze(1).tolist() == sorted(order[:kept])


def test_scores_that_are_not_numbers_name_their_layer():
    scores = {"fine": torch.ones(2), "broken": torch.tensor([1.0, float("nan")])}
    with pytest.raises(ValueError, match="scores of broken are not numbers"):
        keep_highest(scores, 1, full(scores))


def test_more_weights_than_there_are_cannot_be_kept():
    with pytest.raises(ValueError, match="cannot keep 3 weights: 2 are candidates"):
        keep_highest({"a": torch.ones(4)}, 3, {"a": torch.tensor([True, True, False, False])})


def test_counts_by_layer_are_kept_to_the_weight():
    scores = {"a": torch.rand(10), "b": torch.rand(20)}
    masks = keep_highest_per_layer(scores, {"a": 3, "b": 0}, full(scores))
    assert (int(masks["a"].sum()), int(masks["b"].sum())) == (3, 0)


@pytest.mark.parametrize(("total", "fraction", "kept"), [(1000, 0.995, 5), (10, 0.25, 8), (7, 0.0, 7), (3, 0.999, 0)])
def test_kept_count_is_total_minus_the_rounded_removed_count(total, fraction, kept):
    assert kept_count(total, fraction) == kept == total - round(fraction * total)


def test_prunable_weights_are_those_of_convolutions_and_linear_layers_only():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(), nn.Flatten(), nn.Linear(4, 2))
    assert list(prunable(model)) == ["0.weight", "4.weight"]


def test_a_weight_that_two_layers_share_is_prunable_once():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    assert list(prunable(nn.Sequential(first, second))) == ["0.weight"]


def test_a_weight_computed_from_others_is_refused_by_name():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), nn.Linear(3, 3))
    with pytest.raises(ValueError, match="the weight of 0 is not a parameter of its own"):
        prunable(model)


def test_apply_zeroes_removed_weights_and_leaves_the_rest():
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    model[0].weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    apply(model, {"0.weight": torch.tensor([[True, False], [False, True]])})
    assert model[0].weight.tolist() == [[1.0, 0.0], [0.0, 4.0]]


def test_masks_of_another_network_are_refused():
    with pytest.raises(ValueError, match="no parameter 'other.weight'"):
        apply(nn.Sequential(nn.Linear(2, 2)), {"other.weight": torch.ones(2, 2, dtype=torch.bool)})


@pytest.mark.parametrize("make", ["sgd", "adam"])
def test_momentum_and_weight_decay_cannot_move_a_removed_weight(make):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    kinds = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
    }
    optimizer = kinds[make](model.parameters())
    masks = {name: torch.rand(weight.shape) > 0.5 for name, weight in prunable(model).items()}
    fixed = FixedMask(masks)
    fixed.before_training(model, optimizer)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(4, 6)).square().sum().backward()
        optimizer.step()
        fixed.after_step()
        for name, weight in prunable(model).items():
            assert not weight[~masks[name]].any()
            assert weight[masks[name]].all()


def test_sparsity_is_the_fraction_removed_over_all_tensors():
    assert sparsity({"a": torch.tensor([True, False, False]), "b": torch.tensor([False])}) == 0.75


def test_equal_masks_have_equal_digests_and_a_moved_bit_or_another_shape_changes_it():
    mask = torch.tensor([[True, False, False], [False, True, True]])
    assert digest(mask) == digest(mask.t().contiguous().t())
    moved = mask.clone()
    moved[0, 1], moved[0, 0] = True, False
    assert len({digest(mask), digest(moved), digest(mask.reshape(3, 2))}) == 3
