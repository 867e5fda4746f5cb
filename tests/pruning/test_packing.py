"""Masks as bytes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruning.packing import entropy_bytes, pack, unpack


@given(st.integers(0, 3000), st.floats(0, 1), st.integers(0, 2**16))
def test_a_packed_mask_unpacks_to_itself(size, density, seed):
    mask = torch.rand(size, generator=torch.Generator().manual_seed(seed)) < density
    encoding, blob = pack(mask)
    assert torch.equal(unpack(encoding, blob, mask.shape), mask)


def test_gaps_count_the_removed_weights_before_each_kept_one():
    mask = torch.zeros(1000, dtype=torch.bool)
    mask[[0, 3, 3 + 256]] = True
    assert pack(mask) == ("gaps", bytes([0, 2, 255, 0]))


def test_a_gap_of_exactly_255_is_an_escape_and_zero():
    mask = torch.zeros(1000, dtype=torch.bool)
    mask[255] = True
    encoding, blob = pack(mask)
    assert blob == bytes([255, 0])
    assert torch.equal(unpack(encoding, blob, (1000,)), mask)


def test_dense_masks_are_a_bit_a_weight():
    mask = torch.tensor([True] * 5 + [False] * 4)
    assert pack(mask) == ("bits", bytes([0b11111000, 0]))


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_empty_and_full_masks_of_many_dimensions_survive(density):
    mask = torch.full((4, 3, 2, 2), bool(density))
    assert torch.equal(unpack(*pack(mask), mask.shape), mask)


@pytest.mark.parametrize(
    ("encoding", "blob", "shape"),
    [("bits", b"\0", (9,)), ("gaps", bytes([7]), (7,)), ("gaps", bytes([255]), (300,)), ("zip", b"", (1,))],
)
def test_bytes_that_are_no_mask_of_this_shape_are_refused(encoding, blob, shape):
    with pytest.raises(ValueError, match="mask"):
        unpack(encoding, blob, shape)


def test_the_entropy_bound_of_a_quarter_dense_mask_is_n_times_h():
    mask = torch.zeros(1024, dtype=torch.bool)
    mask[:256] = True
    h = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert entropy_bytes(mask) == pytest.approx(1024 * h / 8, rel=1e-12)
    assert entropy_bytes(torch.ones(8, dtype=torch.bool)) == 0
