"""Kept weights that were chosen by index among equal scores are counted and reported."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import pruning
from pruning.masking import TrainingHorizon
from pruning.masks import full
from pruning.methods.magnitude_after import MagnitudeAfter
from pruning.remarks import remarks
from pruning.scopes import SCOPES, selection

from .networks import batch, convolutional, perceptron


class ZeroBranch(nn.Module):
    """x + branch(x), the last layer of the branch being zero: no gradient reaches the layer before it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Linear(192, 16)
        self.inner, self.last = nn.Linear(16, 64), nn.Linear(64, 16)
        self.classifier = nn.Linear(16, 4)
        nn.init.zeros_(self.last.weight)

    def forward(self, images):
        x = self.stem(images.flatten(1)).relu()
        return self.classifier(x + self.last(self.inner(x).relu()))


@pytest.mark.parametrize(("method", "sparsity"), [("snip", 0.1), ("force", 0.1), ("grasp", 0.5)])
def test_weights_kept_by_index_in_a_network_that_starts_with_zeros_are_counted_and_warned_of(method, sparsity):
    rounds = {"rounds": 3} if pruning.find(method).rounds else {}
    with pytest.warns(pruning.PruningWarning, match=f"method {method}: .* of the .* kept weights were chosen by index"):
        pruned = pruning.prune(ZeroBranch(), method, sparsity, [batch()], **rounds)
    assert 1 < pruned.tied_kept < pruned.tied_candidates
    assert pruned.tied_kept <= pruned.rounds[-1].kept
    assert pruned.remarks


def test_the_count_is_of_the_weights_at_the_threshold_and_of_those_that_were_kept():
    scores = {"a": torch.tensor([3.0, 1.0, 1.0]), "b": torch.tensor([1.0, 2.0, 0.0])}
    assert selection(scores, 4, None, "global").ties == (2, 3)
    assert selection(scores, 5, None, "global").ties == (0, 0)  # room for all of them
    assert selection(scores, 4, full(scores), "layerwise").ties == (1, 2)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.integers(0, 10**6),
    st.sampled_from([*SCOPES, "floor"]),
    st.floats(0, 1),
    st.integers(1, 6),
)
def test_ties_are_those_that_a_removed_weight_has_with_kept_ones(sizes, seed, scope, share, values):
    generator = torch.Generator().manual_seed(seed)
    scores = {str(i): torch.randint(0, values, (n,), generator=generator).double() for i, n in enumerate(sizes)}
    floor, scope = (0.4, "global") if scope == "floor" else (0.0, scope)
    found = selection(scores, round(share * sum(sizes)), None, scope, floor)
    masks = found.masks
    if scope == "global" and not floor:
        flat, kept = torch.cat(list(scores.values())), torch.cat(list(masks.values()))
        groups = [(flat, kept)]
    elif not floor:
        groups = [(scores[name], masks[name]) for name in scores]
    else:  # by layer, then over all: only whether there are any is told twice
        groups = [(scores[name], masks[name]) for name in scores]
        in_layers = any(bool(set(s[m].tolist()) & set(s[~m].tolist())) for s, m in groups)
        assert not in_layers or found.ties.candidates > found.ties.kept > 0
        return
    kept_by_index = candidates = 0
    for values_of, mask in groups:
        common = set(values_of[mask].tolist()) & set(values_of[~mask].tolist())
        kept_by_index += sum(int(((values_of == value) & mask).sum()) for value in common)
        candidates += sum(int((values_of == value).sum()) for value in common)
    assert found.ties == (kept_by_index, candidates)


def test_random_scores_do_not_tie_and_raise_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pruned = pruning.prune(convolutional(), "random", 0.9)
    assert (pruned.tied_kept, pruned.tied_candidates, pruned.remarks) == (0, 0, ())


def test_the_dense_network_has_no_threshold():
    pruned = pruning.prune(convolutional(), "dense", 0.0)
    assert (pruned.tied_kept, pruned.tied_candidates, pruned.remarks) == (None, None, ())


@pytest.mark.parametrize("method", ["snip", "force"])
def test_extreme_sparsities_of_a_network_with_dead_units_raise_a_warning(method):
    network = perceptron(6, 8, 3)
    network[0].bias.data = torch.tensor([10.0] * 2 + [-1e6] * 6)  # 12 + 6 weights have a gradient
    options = {"rounds": 1} if pruning.find(method).rounds else {}
    data = [(torch.rand(10, 6), torch.arange(10) % 3)]
    with pytest.warns(pruning.PruningWarning, match="18 of the 36 kept weights were chosen by index.*: 54 tie"):
        pruning.prune(network, method, 0.5, data, **options)


def test_pruning_after_training_counts_ties_too():
    model = perceptron(4, 6, 3)
    for weight in pruning.prunable(model).values():
        weight.data.fill_(0.5)
    masking = MagnitudeAfter(full(pruning.prunable(model)), TrainingHorizon(0.5, 2, 1, torch.Generator()))
    masking.after_training(model)
    assert (masking.rounds[-1].tied_kept, masking.rounds[-1].tied_candidates) == (21, 42)


def test_a_single_chance_tie_among_thousands_is_recorded_but_not_warned_of():
    assert list(remarks(5000, 1, 2, None)) == []
    assert list(remarks(5000, 3, 4, None)) == []
    assert len(list(remarks(5000, 5, 6, None))) == 1
    assert list(remarks(None, None, None, None)) == []
