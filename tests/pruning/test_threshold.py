"""The k-th highest score, found without sorting, equals the one found by sorting."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pruning import threshold
from pruning.masks import full, keep_highest
from pruning.threshold import kth_highest

SMALL_SAMPLE = 64


@pytest.fixture(autouse=True)
def sampled(monkeypatch):
    """Make a few hundred scores count as many."""
    monkeypatch.setattr(threshold, "SAMPLE", SMALL_SAMPLE)


def expected(values, kept):
    falling = np.sort(np.concatenate([v.reshape(-1).numpy() for v in values]))[::-1]
    value = falling[kept - 1]
    return float(value), int((falling > value).sum()), int((falling == value).sum())


def found(values, among, kept):
    result = kth_highest(values, among, kept)
    return float(result.value), result.above, result.at


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0005, 1), st.sampled_from(["normal", "few values", "sorted", "tiny"]))
def test_the_threshold_is_that_of_a_sort(seed, share, kind):
    draws = np.random.default_rng(seed)
    flat = draws.standard_normal(3000).astype(np.float32)
    flat = {"normal": flat, "few values": np.round(flat), "sorted": np.sort(flat), "tiny": flat * 1e-38}[kind]
    values = [torch.from_numpy(part) for part in np.split(flat, [10, 1500])]
    kept = max(1, round(share * 3000))
    assert found(values, None, kept) == expected(values, kept)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0.001, 1), st.floats(0.05, 0.95))
def test_only_candidates_count(seed, share, density):
    draws = np.random.default_rng(seed)
    values = [torch.from_numpy(draws.standard_normal(1000).astype(np.float32)) for _ in range(3)]
    among = [torch.from_numpy(draws.random(1000) < density) for _ in range(3)]
    candidates = [value[mask] for value, mask in zip(values, among, strict=True)]
    kept = max(1, round(share * sum(len(c) for c in candidates)))
    assert found(values, among, kept) == expected(candidates, kept)


@pytest.mark.parametrize("kept", [1, 40, 1000, 1950, 2000])
def test_scores_that_deceive_the_sample_are_still_cut_exactly(kept):
    stride = 2000 // SMALL_SAMPLE
    values = torch.rand(2000)
    values[::stride] += 100.0  # the sample sees only these
    assert found([values], None, kept) == expected([values], kept)


def test_few_scores_inside_the_bracket_are_all_that_is_partitioned(monkeypatch):
    sizes = []
    plain = threshold._highest
    monkeypatch.setattr(threshold, "SAMPLE", 4096)
    monkeypatch.setattr(threshold, "_highest", lambda values, rank: (sizes.append(len(values)), plain(values, rank))[1])
    kth_highest([torch.randn(200_000, generator=torch.Generator().manual_seed(0))], None, 20_000)
    [inside] = sizes
    assert inside < 20_000


def test_ties_are_broken_by_row_major_index_whatever_the_order_in_memory():
    scores = torch.tensor([0.0, 1.0]).repeat(4 * 3 * 3 * 3 // 2).reshape(4, 3, 3, 3)
    here = {"a": scores}
    there = {"a": scores.to(memory_format=torch.channels_last)}
    one, other = (keep_highest(s, 17, full(s))["a"] for s in (here, there))
    assert one.equal(other)
    assert one.reshape(-1).nonzero().squeeze(1).tolist() == list(range(1, 35, 2))


def test_the_selection_is_the_same_in_every_memory_format():
    scores = torch.randn(32, 16, 3, 3, generator=torch.Generator().manual_seed(0))
    among = torch.rand(scores.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    one = keep_highest({"a": scores}, 500, {"a": among})["a"]
    other = keep_highest({"a": scores.to(memory_format=torch.channels_last)}, 500, {"a": among})["a"]
    assert one.equal(other)


def test_scores_of_two_types_are_compared_in_the_wider_one():
    scores = {"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([2.0, 1.0 + 1e-12], dtype=torch.float64)}
    masks = keep_highest(scores, 3, full(scores))
    assert masks["a"].tolist() == [False, True]
    assert masks["b"].tolist() == [True, True]
