"""Controls that are derived from any method's mask."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pruning
from pruning import ablations
from pruning.ablations import ABLATIONS, NONE, shuffle_layerwise
from pruning.masks import count, keep_highest, kept_count
from pruning.problem import LOSSES, Problem

from .networks import batch, convolutional


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_ablation_is_explained():
    assert ABLATIONS[0] == NONE
    assert all(f"``{name}``" in (ablations.__doc__ or "") for name in ABLATIONS)


@pytest.mark.parametrize("method", ["magnitude", "snip", "synflow"])
def test_shuffling_changes_the_mask_and_no_layers_count(method):
    masks = pruning.prune(convolutional(), method, 0.9, [batch()]).masks
    shuffled = shuffle_layerwise(masks, generator())
    assert list(shuffled) == list(masks)
    assert {name: int(m.sum()) for name, m in shuffled.items()} == {name: int(m.sum()) for name, m in masks.items()}
    for name, mask in masks.items():
        if 0 < int(mask.sum()) < mask.numel():
            assert not torch.equal(shuffled[name], mask), name


def test_shuffling_leaves_the_masks_that_it_is_given():
    masks = pruning.prune(convolutional(), "magnitude", 0.9).masks
    before = {name: mask.clone() for name, mask in masks.items()}
    shuffle_layerwise(masks, generator())
    assert all(torch.equal(mask, before[name]) for name, mask in masks.items())


@given(st.integers(1, 5), st.integers(1, 5), st.floats(0, 1), st.integers(0, 10**6))
def test_shuffling_keeps_shape_and_count_of_any_mask(rows, columns, density, seed):
    mask = torch.rand(rows, columns, generator=generator(seed)) < density
    shuffled = shuffle_layerwise({"a": mask}, generator(seed))["a"]
    assert (shuffled.shape, shuffled.dtype, int(shuffled.sum())) == (mask.shape, torch.bool, int(mask.sum()))


def test_every_place_is_equally_likely_after_shuffling():
    mask, draws = torch.tensor([[True, True, False], [False, False, False]]), generator()
    hits = sum(shuffle_layerwise({"a": mask}, draws)["a"].double() for _ in range(3000))
    assert ((hits / 3000 - 2 / 6).abs() < 0.05).all()  # six standard deviations


def test_the_same_generator_shuffles_alike_and_layers_of_one_shape_differently():
    mask = torch.arange(100).reshape(10, 10) < 30
    first, again = (shuffle_layerwise({"a": mask, "b": mask}, generator(3)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["a"], first["b"])


@pytest.mark.parametrize("method", ["random", "magnitude", "snip", "grasp", "erk"])
def test_inverted_one_shot_pruning_keeps_the_lowest_scores(method):
    model, sparsity = convolutional().eval(), 0.7
    problem = Problem(model, LOSSES["cross_entropy"], generator(1), None)
    problem.batches, problem.round = [batch()], 1
    scores = pruning.find(method).score(problem)
    masks = pruning.prune(
        model, method, sparsity, [batch()], train_mode=False, invert=True, generator=generator(1)
    ).masks
    total = sum(mask.numel() for mask in masks.values())
    assert count(masks) == kept_count(total, sparsity)
    if pruning.find(method).scope == "global":
        kept = torch.cat([scores[name][mask] for name, mask in masks.items()])
        removed = torch.cat([scores[name][~mask] for name, mask in masks.items()])
        assert kept.max() <= removed.min()
    for name, mask in masks.items():
        if 0 < int(mask.sum()) < mask.numel():
            assert scores[name][mask].max() <= scores[name][~mask].min()


@pytest.mark.parametrize("method", ["iter_snip", "force", "iter_grasp", "synflow"])
def test_inverted_progressive_pruning_keeps_the_lowest_scores_of_every_round(method):
    model, sparsity, rounds = convolutional(width=4).eval(), 0.9, 3
    pruned = pruning.prune(model, method, sparsity, [batch()], train_mode=False, invert=True, rounds=rounds)
    problem, preset = Problem(model, LOSSES["cross_entropy"], generator(), None), pruning.find(method)
    problem.batches = [batch()]
    everything = problem.masks
    for done in pruned.rounds:
        worst = {name: -score for name, score in preset.score(problem).items()}
        problem.mask(keep_highest(worst, done.kept, everything if preset.recover else problem.masks))
    assert all(torch.equal(mask, pruned.masks[name]) for name, mask in problem.masks.items())
    assert count(pruned.masks) == kept_count(sum(m.numel() for m in everything.values()), sparsity)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["random", "snip", "grasp", "iter_snip", "force", "synflow"]), st.floats(0, 0.999))
def test_an_inverted_count_is_exact(method, sparsity):
    rounds = {"rounds": 3} if pruning.find(method).rounds else {}
    masks = pruning.prune(convolutional(), method, sparsity, [batch()], invert=True, **rounds).masks
    total = sum(mask.numel() for mask in masks.values())
    assert count(masks) == total - round(sparsity * total)


def test_at_half_sparsity_a_mask_and_its_inverse_share_nothing():
    model = torch.nn.Sequential(torch.nn.Linear(10, 20, bias=False))
    model[0].weight.data = torch.arange(200.0).reshape(20, 10)
    mask = pruning.prune(model, "magnitude", 0.5).masks["0.weight"]
    inverse = pruning.prune(model, "magnitude", 0.5, invert=True).masks["0.weight"]
    assert torch.equal(inverse, ~mask)
