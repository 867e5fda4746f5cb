"""Encoding masks as bytes and back."""

import contextlib
import math

import pyarrow as pa
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pruning.packing import BLOCK, entropy_bytes, pack, unpack

SHAPES = st.lists(st.integers(0, 12), max_size=4).map(tuple)
ENCODINGS = ("rice", "bits", "gaps")


def drawn(shape, density, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < density


def zstd(blob):
    return pa.Codec("zstd", 19).compress(blob).size


def bits_of(text):
    """Bits written by hand, spaces between their meanings, the last byte filled with zeros."""
    digits = text.replace(" ", "")
    return bytes(int(digits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(digits), 8))


@given(st.integers(0, 3000), st.floats(0, 1), st.integers(0, 2**16))
def test_a_packed_mask_unpacks_to_itself(size, density, seed):
    mask = drawn(size, density, seed)
    assert torch.equal(unpack(*pack(mask), mask.shape), mask)


@given(SHAPES, st.floats(0, 1), st.integers(0, 2**16))
def test_a_packed_mask_of_any_shape_unpacks_to_itself(shape, density, seed):
    mask = drawn(shape, density, seed)
    assert torch.equal(unpack(*pack(mask), shape), mask)


@given(st.data(), st.floats(0, 1))
def test_a_mask_with_dead_channels_unpacks_to_itself(data, density):
    mask = drawn((20, 15, 3, 3), density)
    mask[data.draw(st.lists(st.integers(0, 19)))] = False
    mask[:, data.draw(st.lists(st.integers(0, 14)))] = False
    assert torch.equal(unpack(*pack(mask), mask.shape), mask)


@pytest.mark.parametrize("density", [0.0, 1.0])
@pytest.mark.parametrize(
    "shape", [(), (0,), (1,), (7,), (8,), (9,), (0, 3), (3, 0), (4, 3, 2, 2), (300, 200), (64, 30, 3, 3)]
)
def test_empty_and_full_masks_survive(shape, density):
    mask = torch.full(shape, bool(density))
    assert torch.equal(unpack(*pack(mask), shape), mask)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 1000, 70_000])
@pytest.mark.parametrize("inverse", [False, True])
def test_one_kept_and_one_removed_weight_survive_at_either_end(size, inverse):
    for place in (0, size - 1):
        mask = torch.zeros(size, dtype=torch.bool)
        mask[place] = True
        mask ^= inverse
        assert torch.equal(unpack(*pack(mask), (size,)), mask)


@pytest.mark.parametrize("count", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
def test_blocks_that_are_just_full_survive(count):
    mask = torch.zeros(50 * count, dtype=torch.bool)
    mask[::50] = True
    mask[::1000] = False
    assert torch.equal(unpack(*pack(mask), mask.shape), mask)


def test_a_mask_that_is_not_contiguous_is_packed_in_its_own_order():
    mask = drawn((200, 300), 0.02).t()
    assert torch.equal(unpack(*pack(mask), mask.shape), mask)


def test_rice_is_what_its_description_says_by_hand():
    mask = torch.zeros(1024, dtype=torch.bool)
    mask[[0, 100]] = True
    # Gaps 0 and 99. A shift of 5 takes 2·6 + 99 // 32 = 15 bits, so does 6, the first is taken: 4 below
    # log2(1024 / 2) = 9, which is 2·4 - 1 = 7 in unary. Low bits of 0 and of 99 = 3·32 + 3, plane by plane; 0 and 3.
    by_hand = bits_of("0 00000000010 00000001 01 01 00 00 00 1 0001")
    assert pack(mask) == ("rice", by_hand)
    assert torch.equal(unpack("rice", by_hand, (1024,)), mask)


def test_rice_names_dead_channels_and_removed_weights_by_hand():
    mask = torch.zeros(4, 2, 32, dtype=torch.bool)
    mask[1, 1] = True
    mask[1, 1, 9] = False
    # Outputs: 1 of 4 set, a gap of 1, shift 0 against log2(4) = 2 (-2 is 3 in unary). Inputs: 1 of 2, a gap of 1, shift
    # 0 against 1 (-1 is 1). Weights: 31 of 32, so one removed after 9: shift 3 takes 4 + 1 bits (so does 2: 3 + 2,
    # taken) against log2(32) = 5 (-3 is 5); 9 = 2·4 + 1.
    by_hand = bits_of("1 001 0001 01  01 01 01  011111 000001 1 0 001")
    assert pack(mask) == ("rice", by_hand)
    assert torch.equal(unpack("rice", by_hand, mask.shape), mask)


def test_dense_masks_take_one_bit_per_weight():
    mask = torch.tensor([True] * 5 + [False] * 4)
    assert pack(mask) == ("bits", bytes([0b11111000, 0]))
    assert torch.equal(unpack("bits", bytes([0b11111000, 0]), (9,)), mask)


@pytest.mark.parametrize(
    ("blob", "kept"),
    [(bytes([0, 2, 255, 0]), [0, 3, 3 + 256]), (bytes([255, 0]), [255]), (bytes([255, 255, 7]), [517]), (b"", [])],
)
def test_the_gaps_of_older_stores_are_read(blob, kept):
    mask = torch.zeros(1000, dtype=torch.bool)
    mask[kept] = True
    assert torch.equal(unpack("gaps", blob, (1000,)), mask)


@given(SHAPES, st.floats(0, 1))
def test_no_mask_takes_more_than_one_bit_per_weight(shape, density):
    mask = drawn(shape, density)
    assert len(pack(mask)[1]) <= math.ceil(mask.numel() / 8)


@given(st.lists(st.integers(0, 9999), min_size=1, unique=True), st.integers(0, 14))
def test_any_mask_of_so_many_kept_weights_keeps_to_the_documented_bound(kept, shift):
    mask = torch.zeros(10_000, dtype=torch.bool)
    mask[kept] = True
    count, counts = len(kept), 1 + 14
    codes = count * (1 + shift) + 10_000 / 2**shift
    steps = math.ceil(count / BLOCK) * (1 + 2 * math.log2(10_000))
    assert 8 * (len(pack(mask)[1]) - 1) < counts + codes + steps


@pytest.mark.parametrize("density", [0.002, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.38, 0.5, 0.7, 0.95, 0.998])
def test_random_masks_of_any_density_are_within_four_percent_of_the_entropy_bound(density):
    mask = drawn((500, 200, 3, 3), density)
    assert len(pack(mask)[1]) < 1.04 * entropy_bytes(mask)


def test_empty_channels_take_almost_no_bytes():
    mask = drawn((256, 256, 3, 3), 0.1)
    mask[::2] = False
    mask[:, 1::2] = False
    alive = mask[1::2, ::2]
    assert len(pack(mask)[1]) < 1.04 * entropy_bytes(alive) < 0.75 * entropy_bytes(mask)


@pytest.mark.slow
@pytest.mark.parametrize("density", [0.002, 0.02, 0.1, 0.17, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dead", [1, 2])
def test_what_is_written_is_never_a_thirtieth_larger_than_an_older_encoding_as_the_store_compresses_it(density, dead):
    mask = drawn((300, 200, 3, 3), density)
    mask[: 300 * (dead - 1) // dead] = False
    flat = mask.reshape(-1)
    runs = flat.nonzero().reshape(-1).diff(prepend=torch.tensor([-1])) - 1
    gaps = b"".join(bytes([255] * (run // 255) + [run % 255]) for run in runs.tolist())
    assert torch.equal(unpack("gaps", gaps, mask.shape), mask)
    bits = bytes(flat.reshape(-1, 8).to(torch.int32).mul(2 ** torch.arange(7, -1, -1)).sum(1).tolist())
    assert torch.equal(unpack("bits", bits, mask.shape), mask)
    assert zstd(pack(mask)[1]) <= 31 / 30 * min(zstd(gaps), zstd(bits))


@pytest.mark.parametrize(
    ("encoding", "blob", "shape", "why"),
    [
        ("bits", b"\0", (9,), "1 bytes, not 2"),
        ("gaps", bytes([7]), (7,), "beyond the last one"),
        ("gaps", bytes([255]), (300,), "ends within a gap"),
        ("zip", b"", (1,), "encoding 'zip'; this version reads rice, bits, gaps"),
        ("rice", b"", (1024,), "ends too early"),
        ("rice", bits_of("0 00000000010 00000001 01 01 00 00 00 1 0"), (1024,), "ends too early"),
        ("rice", bits_of("0 00000000010 00000001 01 01 00 00 00 1 0001 1"), (1024,), "goes on after its end"),
        ("rice", bits_of("0 00000000010 00000001 01 01 00 00 00 1 0001") + b"\0", (1024,), "goes on after its end"),
        ("rice", bits_of("0 11111111111"), (1024,), "2047 of 1024 set"),
        ("rice", bits_of("0 00000000001 1 1111111111 01"), (1024,), "gap is longer than the vector"),
        ("rice", bits_of("0 00000000010 1 00 00 00 11 11 00 11 00 00 01 01"), (1024,), "beyond the last one"),
        ("rice", bits_of("0 00000000010 00000000000000000001 1 1"), (1024,), "shift is out of range"),
        ("rice", bits_of("0 00000000010 0000000000000000000000001 1 1"), (1024,), "ends too early"),
        ("rice", bytes(128), (1024,), "128 bytes, but one bit per weight takes 128"),
    ],
)
def test_bytes_that_are_no_mask_of_this_shape_are_refused(encoding, blob, shape, why):
    with pytest.raises(ValueError, match=f"mask.*{why}"):
        unpack(encoding, blob, shape)


@pytest.mark.slow
@settings(max_examples=500)
@given(st.sampled_from(ENCODINGS), st.binary(max_size=80), SHAPES | st.sampled_from([(700,), (30, 30), (2**20, 3)]))
@example("rice", b"\xff" * 100, (2**15,))
def test_any_bytes_are_a_mask_of_the_shape_or_refused(encoding, blob, shape):
    try:
        mask = unpack(encoding, blob, shape)
    except ValueError:
        return
    assert mask.shape == shape
    assert mask.dtype == torch.bool
    assert set(mask.view(torch.uint8).unique().tolist()) <= {0, 1}


@pytest.mark.slow
@settings(max_examples=500)
@given(st.data(), st.sampled_from([0.01, 0.1, 0.4, 0.9]), st.booleans())
def test_a_damaged_mask_is_a_mask_of_the_shape_or_refused(data, density, dead):
    mask = drawn((20, 30, 3), density)
    if dead:
        mask[5:15] = False
    encoding, blob = pack(mask)
    damaged = bytearray(blob)
    for at in data.draw(st.lists(st.integers(0, 8 * len(blob) - 1), max_size=3)):
        damaged[at // 8] ^= 1 << at % 8
    cut = bytes(damaged[: data.draw(st.integers(0, len(blob)))])
    for each in (bytes(damaged), cut):
        with contextlib.suppress(ValueError):
            assert unpack(encoding, each, mask.shape).shape == mask.shape


@pytest.mark.parametrize("density", [0.01, 0.3])
def test_a_mask_that_is_cut_short_is_refused(density):
    mask = drawn((20, 30, 3), density)
    encoding, blob = pack(mask)
    assert encoding == "rice"
    for length in range(len(blob)):
        with pytest.raises(ValueError, match="packed mask"):
            unpack(encoding, blob[:length], mask.shape)


def test_the_entropy_bound_of_a_quarter_dense_mask_is_n_times_h():
    mask = torch.zeros(1024, dtype=torch.bool)
    mask[:256] = True
    h = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert entropy_bytes(mask) == pytest.approx(1024 * h / 8, rel=1e-12)
    assert entropy_bytes(torch.ones(8, dtype=torch.bool)) == 0
