"""Masks as bytes."""

import math

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruning import packing
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


@pytest.mark.parametrize(("density", "smaller"), [(0.05, "gaps"), (0.15, "gaps"), (0.2, "bits"), (0.4, "bits")])
def test_the_chosen_encoding_is_the_smaller_one_as_the_store_compresses_it(density, smaller, monkeypatch):
    mask = torch.rand(500_000, generator=torch.Generator().manual_seed(0)) < density
    sizes = {}
    for encoding, threshold in (("gaps", 1.0), ("bits", 0.0)):
        with monkeypatch.context() as forced:
            forced.setattr(packing, "GAPS_BELOW_DENSITY", threshold)
            used, blob = pack(mask)
        assert used == encoding
        sizes[encoding] = pa.Codec("zstd", 3).compress(blob).size
    assert min(sizes, key=sizes.get) == smaller == pack(mask)[0]


def test_the_entropy_bound_of_a_quarter_dense_mask_is_n_times_h():
    mask = torch.zeros(1024, dtype=torch.bool)
    mask[:256] = True
    h = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert entropy_bytes(mask) == pytest.approx(1024 * h / 8, rel=1e-12)
    assert entropy_bytes(torch.ones(8, dtype=torch.bool)) == 0
