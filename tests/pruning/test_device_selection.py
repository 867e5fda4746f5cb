"""The selection that waits for no GPU gives the masks of the one that does, to the bit. It runs on a CPU as well."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruning.device_selection import DeviceSelection, ties
from pruning.masks import cut, full


def scores_of(sizes, seed, values, dtype=torch.float32):
    """Integers of so many values, or (0) normal scores; some tensors in another order in memory."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for number, size in enumerate(sizes):
        shape = (size, 2, 2, 3) if number % 2 else (size, 3)
        if values:
            score = torch.randint(-values, values + 1, shape, generator=generator).to(dtype)
        else:
            score = torch.randn(shape, generator=generator, dtype=dtype)
        found[str(number)] = score.to(memory_format=torch.channels_last) if number % 4 == 1 else score
    return found


ROUNDS = st.lists(st.floats(0, 1), min_size=1, max_size=4)


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.integers(0, 10**6),
    st.sampled_from([0, 0, 1, 2, 5]),
    st.sampled_from([torch.float32, torch.float64]),
    ROUNDS,
    st.booleans(),
)
def test_masks_and_ties_of_every_round_are_those_of_the_other_selection(sizes, seed, values, dtype, shares, recover):
    weights = scores_of(sizes, seed, values, dtype)
    total = sum(weight.numel() for weight in weights.values())
    selection, before = DeviceSelection(weights), full(weights)
    for number, share in enumerate(sorted(shares, reverse=True)):
        scores, kept = scores_of(sizes, seed + number, values, dtype), round(share * total)
        found = selection.cut(scores, kept, recover)
        masks, threshold = cut(scores, kept, None if recover else before)
        assert all(found.masks[name].equal(mask) for name, mask in masks.items())
        assert ties(kept, int(found.above), int(found.at)) == (threshold.ties(kept) if threshold else (0, 0))
        assert int(found.numbers()[3]) == sum(int((mask & before[name]).sum()) for name, mask in masks.items())
        before = masks


@pytest.mark.parametrize("kept", [0, 1, 7, 14, 15])
def test_the_count_is_exact_when_all_scores_tie(kept):
    scores = {"a": torch.zeros(3, 3), "b": -torch.zeros(6)}
    masks = DeviceSelection(scores).cut(scores, kept, recover=True).masks
    assert torch.cat([mask.flatten() for mask in masks.values()]).tolist() == [True] * kept + [False] * (15 - kept)


def test_removed_weights_are_not_kept_for_scores_above_negative_ones():
    scores = {"a": torch.tensor([0.0, -3.0, -2.0, 7.0])}
    selection = DeviceSelection(scores)
    selection.cut({"a": torch.tensor([0.0, 1.0, 1.0, 0.0])}, 2, recover=False)
    assert selection.cut(scores, 1, recover=False).masks["a"].tolist() == [False, False, True, False]


def test_scores_of_two_types_are_compared_in_the_wider_one():
    scores = {"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([2.0, 1.0 + 1e-12], dtype=torch.float64)}
    masks = DeviceSelection(scores).cut(scores, 3, recover=True).masks
    assert masks["a"].tolist() == [False, True] and masks["b"].tolist() == [True, True]
