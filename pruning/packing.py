"""Masks as bytes, near the entropy bound.

Two encodings, chosen per tensor by its density:

``bits``  one bit a weight, row-major, most significant bit first (``numpy.packbits``): near the bound around 0.5;
``gaps``  the number of removed weights before each kept one, a byte each; 255 means "255 more, read on":
          near the bound once general byte compression (the store's zstd) squeezes the skewed bytes.

Under that compression ``gaps`` is the smaller of the two at a density of 0.15 and ``bits`` at 0.2 (a test says so).
"""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Encoding = Literal["bits", "gaps"]
GAPS_BELOW_DENSITY = 0.17


def pack(mask: Tensor) -> tuple[Encoding, bytes]:
    """Encode one mask of any shape; :func:`unpack` undoes it."""
    flat = mask.detach().cpu().contiguous().numpy().reshape(-1)
    kept = int(np.count_nonzero(flat))
    if kept >= GAPS_BELOW_DENSITY * flat.size:
        return "bits", np.packbits(flat).tobytes()
    gaps = np.diff(np.flatnonzero(flat), prepend=-1) - 1
    escapes, remainders = np.divmod(gaps, 255)
    blob = np.full(kept + int(escapes.sum()), 255, dtype=np.uint8)
    blob[np.cumsum(escapes + 1) - 1] = remainders
    return "gaps", blob.tobytes()


def unpack(encoding: str, blob: bytes, shape: tuple[int, ...] | list[int]) -> Tensor:
    """The bool tensor of ``shape`` that :func:`pack` encoded.

    Raises:
        ValueError: unknown encoding, or bytes that do not describe a mask of this shape.
    """
    size, data = math.prod(shape), np.frombuffer(blob, dtype=np.uint8)
    if encoding == "bits":
        if data.size != -(-size // 8):
            raise ValueError(f"packed mask has {data.size} bytes, a mask of shape {list(shape)} takes {-(-size // 8)}")
        flat = np.unpackbits(data, count=size).astype(bool)
    elif encoding == "gaps":
        ends = np.flatnonzero(data != 255)
        kept = np.cumsum(data, dtype=np.int64)[ends] + np.arange(ends.size)
        if (kept.size and kept[-1] >= size) or (data.size and data[-1] == 255):
            raise ValueError(f"packed mask does not fit its shape {list(shape)}")
        flat = np.zeros(size, dtype=bool)
        flat[kept] = True
    else:
        raise ValueError(f"unknown mask encoding {encoding!r}; this version reads bits and gaps")
    return torch.from_numpy(flat).reshape(tuple(shape))


def entropy_bytes(mask: Tensor) -> float:
    """The entropy bound n·H(density) of one mask, in bytes: what no code for random masks of this density beats."""
    size, kept = mask.numel(), int(mask.count_nonzero())
    if kept in (0, size):
        return 0.0
    density = kept / size
    return -size * (density * math.log2(density) + (1 - density) * math.log2(1 - density)) / 8
