"""Encoding masks as bytes: close to the entropy bound, or below it if the mask has structure.

:func:`pack` writes the smaller of the first two encodings; :func:`unpack` reads all three:

``rice``  the list of empty channels, then the gaps between kept weights in Golomb-Rice codes (below);
``bits``  one bit per weight, row-major, most significant bit first (``numpy.packbits``); smaller near density 0.5;
``gaps``  the number of removed weights before each kept one, a byte each; 255 means 255 plus the next byte. Only in
          older stores.

``rice`` is one stream of bits, most significant first, the last byte filled with zeros. After a 0 it holds one bit
vector, the mask row-major. After a 1 it holds three bit vectors: which output channels (first axis) keep
any weight, which input channels (second axis) do, and the weights between these. A mask of fewer than two axes has no
channels and starts with 0. The shorter of the two is written. A vector of n bits, c of them set, is

1. c, in as many bits as n has (⌊log2(n)⌋ + 1);
2. nothing more if c is 0 or n. Else the gaps before the rarer bits, set ones where 2c ≤ n, in blocks of 64:
3. every block's shift k, as its difference d to the block before (the first: to ⌊log2(n/rarer)⌋), in unary (0, 1, 2 …
   as 1, 01, 001 …) of 2d, or of -2d - 1 where d is negative;
4. bit 0 of the gaps of blocks with k > 0, then bit 1 of those with k > 1, and so on;
5. every gap >> k, in unary.

Each block uses the k that makes it shortest. So for any mask, items 4 and 5 of the mask row-major take at most
rarer·(1 + k) + n/2^k bits for the best single k, item 3 at most 1 + 2·log2(n) bits for 64 gaps, and ``bits`` bounds
the total by n/8 bytes. There are no code tables: a small layer takes a few bytes. A random mask takes 1.00 to 1.02 of
the entropy bound, 1.04 at a density around 0.38.
"""

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Encoding = Literal["rice", "bits"]
Bits = NDArray[np.bool_]
Numbers = NDArray[np.int64]
BLOCK = 64  # gaps with a common shift


def pack(mask: Tensor) -> tuple[Encoding, bytes]:
    """Encode one mask of any shape in at most one bit per weight; :func:`unpack` decodes it."""
    values = mask.detach().cpu().contiguous().numpy()
    rice = _rice(values.reshape(_volume(values.shape)))
    if len(rice) < _bytes(values.size):
        return "rice", rice
    return "bits", np.packbits(values).tobytes()


def unpack(encoding: str, blob: bytes, shape: tuple[int, ...] | list[int]) -> Tensor:
    """Decode the bool tensor of ``shape`` that :func:`pack` encoded, in this version or an earlier one.

    Raises:
        ValueError: unknown encoding, or bytes that do not describe a mask of this shape.
    """
    readers = {"rice": _from_rice, "bits": _from_bits, "gaps": _from_gaps}
    if encoding not in readers:
        raise ValueError(f"unknown mask encoding {encoding!r}; this version reads {', '.join(readers)}")
    try:
        values = readers[encoding](np.frombuffer(blob, dtype=np.uint8), tuple(shape))
    except _Malformed as problem:
        raise ValueError(f"packed mask ({encoding}) does not fit its shape {list(shape)}: {problem}") from None
    return torch.from_numpy(values.reshape(tuple(shape)))


def entropy_bytes(mask: Tensor) -> float:
    """The entropy bound n·H(density) of one mask, in bytes: the least expected size of a code for random masks."""
    size, kept = mask.numel(), int(mask.count_nonzero())
    if kept in (0, size):
        return 0.0
    density = kept / size
    return -size * (density * math.log2(density) + (1 - density) * math.log2(1 - density)) / 8


class _Malformed(ValueError):
    """The bytes do not encode a mask of the shape; the message says why."""


def _bytes(bits: int) -> int:
    return -(-bits // 8)


def _from_bits(data: NDArray[np.uint8], shape: tuple[int, ...]) -> Bits:
    size = math.prod(shape)
    if data.size != _bytes(size):
        raise _Malformed(f"{data.size} bytes, not {_bytes(size)}")
    return np.unpackbits(data, count=size).view(np.bool_)


def _from_gaps(data: NDArray[np.uint8], shape: tuple[int, ...]) -> Bits:
    ends = np.flatnonzero(data != 255)
    if data.size and data[-1] == 255:
        raise _Malformed("it ends within a gap")
    return _flags(np.cumsum(data, dtype=np.int64)[ends] + np.arange(ends.size), math.prod(shape))


def _flags(positions: Numbers, size: int) -> Bits:
    """The vector of ``size`` bits that are set at ``positions``, given in increasing order."""
    if positions.size and positions[-1] >= size:
        raise _Malformed("a kept weight lies beyond the last one")
    flags = np.zeros(size, dtype=np.bool_)
    flags[positions] = True
    return flags


def _volume(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The shape as (output channels, input channels, weights between two channels)."""
    return (shape[0], shape[1], math.prod(shape[2:])) if len(shape) > 1 else (1, 1, math.prod(shape))


def _rice(volume: Bits) -> bytes:
    """The shorter of the two streams: of all weights, or of the weights between nonempty channels."""
    unstructured = [np.zeros(1, dtype=np.bool_), *_coded(volume.reshape(-1))]
    outputs: Bits = np.logical_or.reduce(volume.any(axis=2), axis=1)
    inputs: Bits = np.logical_or.reduce(np.logical_or.reduce(volume, axis=0), axis=1)
    if outputs.all() and inputs.all():
        return _joined(unstructured)
    vectors = (outputs, inputs, volume[np.ix_(outputs, inputs)].reshape(-1))
    structured = [np.ones(1, dtype=np.bool_), *(piece for vector in vectors for piece in _coded(vector))]
    return min(_joined(unstructured), _joined(structured), key=len)


def _joined(pieces: list[Bits]) -> bytes:
    return np.packbits(np.concatenate(pieces)).tobytes()


def _from_rice(data: NDArray[np.uint8], shape: tuple[int, ...]) -> Bits:
    size = math.prod(shape)
    if data.size >= _bytes(size):  # checked first, so that unpacking takes no more memory than the mask
        raise _Malformed(f"{data.size} bytes, but one bit per weight takes {_bytes(size)}")
    stream = _Stream(data)
    weights = _among_channels(stream, _volume(shape)) if stream.take(1)[0] else _decoded(stream, size)
    stream.close()
    return weights


def _among_channels(stream: "_Stream", volume: tuple[int, int, int]) -> Bits:
    outputs, inputs = _decoded(stream, volume[0]), _decoded(stream, volume[1])
    alive = (int(outputs.sum()), int(inputs.sum()), volume[2])
    mask = np.zeros(volume, dtype=np.bool_)
    mask[np.ix_(outputs, inputs)] = _decoded(stream, math.prod(alive)).reshape(alive)
    return mask


def _coded(vector: Bits) -> list[Bits]:
    """Encode a bit vector as pieces of the stream."""
    size, count = vector.size, int(np.count_nonzero(vector))
    pieces = [_binary(count, size.bit_length())]
    rarer = np.flatnonzero(vector if 2 * count <= size else ~vector)
    if rarer.size:
        gaps = np.diff(rarer, prepend=-1) - 1
        shifts = _shortest(gaps)
        steps = np.diff(shifts, prepend=_first_shift(size, rarer.size))
        pieces.append(_unary(np.where(steps < 0, -2 * steps - 1, 2 * steps)))
        shift = np.repeat(shifts, BLOCK)[: gaps.size]
        pieces += [(gaps[shift > plane] >> plane & 1).astype(np.bool_) for plane in range(int(shifts.max()))]
        pieces.append(_unary(gaps >> shift))
    return pieces


def _decoded(stream: "_Stream", size: int) -> Bits:
    """Decode the next bit vector of the stream, of ``size`` bits."""
    width = size.bit_length()
    count = stream.binary(width)
    if count > size:
        raise _Malformed(f"{count} of {size} set")
    rarer = min(count, size - count)
    if not rarer:
        return np.full(size, count > 0)
    steps = stream.unary(blocks := -(-rarer // BLOCK), within=blocks * (2 * width + 2))
    shifts = _first_shift(size, rarer) + np.cumsum(np.where(steps % 2, -(steps + 1) // 2, steps // 2))
    if shifts.min() < 0 or shifts.max() > width:
        raise _Malformed("a shift is out of range")
    shift = np.repeat(shifts, BLOCK)[:rarer]
    low = np.zeros(rarer, dtype=np.int64)
    for plane in range(int(shifts.max())):
        selected = shift > plane
        low[selected] |= stream.take(int(np.count_nonzero(selected))).astype(np.int64) << plane
    gaps = low + (stream.unary(rarer, within=size) << shift)
    if gaps.max() >= size:  # checked before they are summed, so that no sum overflows
        raise _Malformed("a gap is longer than the vector")
    flags = _flags(np.cumsum(gaps + 1) - 1, size)
    return flags if 2 * count <= size else ~flags


def _first_shift(size: int, rarer: int) -> int:
    """The reference for the first block's shift: ⌊log2⌋ of the mean distance between rarer bits."""
    return (size // rarer).bit_length() - 1


def _shortest(gaps: Numbers) -> Numbers:
    """For every block, the smallest shift that makes its codes shortest."""
    starts = np.arange(0, gaps.size, BLOCK)
    sizes = np.diff(starts, append=gaps.size)
    shifts, least = np.zeros_like(starts), np.add.reduceat(gaps, starts) + sizes
    for shift in range(1, int(gaps.max()).bit_length()):
        length = np.add.reduceat(gaps >> shift, starts) + sizes * (1 + shift)
        better = length < least
        shifts[better], least[better] = shift, length[better]
    return shifts


def _binary(number: int, width: int) -> Bits:
    return np.array([number >> bit & 1 for bit in reversed(range(width))], dtype=np.bool_)


def _unary(numbers: Numbers) -> Bits:
    ends = np.cumsum(numbers + 1)
    bits = np.zeros(int(ends[-1]), dtype=np.bool_)
    bits[ends - 1] = True
    return bits


class _Stream:
    """Reads the bits of ``data`` in order; reads past the end raise :class:`_Malformed`."""

    def __init__(self, data: NDArray[np.uint8]):
        self._bits = np.unpackbits(data).view(np.bool_)
        self._at = 0

    def take(self, count: int) -> Bits:
        taken = self._bits[self._at : self._at + count]
        if taken.size < count:
            raise _Malformed("it ends too early")
        self._at += count
        return taken

    def binary(self, width: int) -> int:
        return int("".join("01"[bit] for bit in self.take(width).tolist()) or "0", 2)

    def unary(self, count: int, within: int) -> Numbers:
        """The next ``count`` numbers; in a valid stream they end within the next ``within`` bits."""
        ends = np.flatnonzero(self._bits[self._at : self._at + within])[:count]
        if ends.size < count:
            raise _Malformed("it ends too early")
        self._at += int(ends[-1]) + 1
        return np.diff(ends, prepend=-1) - 1

    def close(self) -> None:
        rest = self._bits[self._at :]
        if rest.size > 7 or rest.any():
            raise _Malformed("it goes on after its end")
