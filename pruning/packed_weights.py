"""Weights as bytes: of a masked tensor only the values that its mask keeps.

Values are in row-major order and little-endian, so ``numpy.frombuffer(packed, dtype)`` reads them for every dtype that
NumPy has too.
"""

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}


def pack_weights(tensor: Tensor, mask: Tensor | None = None) -> tuple[str, bytes]:
    """The name of the tensor's dtype, and the bytes of its values, or of those that the mask keeps."""
    values = tensor.detach() if mask is None else tensor.detach()[mask]  # in row-major order
    flat = values.cpu().contiguous().reshape(-1)
    return str(tensor.dtype).removeprefix("torch."), flat.view(torch.uint8).numpy().tobytes()


def unpack_weights(dtype: str, packed: bytes, shape: Sequence[int], mask: Tensor | None = None) -> Tensor:
    """The tensor of this shape that :func:`pack_weights` packed; zero where the mask removes.

    Raises:
        ValueError: as :func:`check_packed`.
    """
    check_packed(dtype, packed, math.prod(shape) if mask is None else int(mask.count_nonzero()))
    values = torch.frombuffer(bytearray(packed), dtype=DTYPES[dtype]) if packed else torch.empty(0, dtype=DTYPES[dtype])
    if mask is None:
        return values.reshape(tuple(shape))
    tensor = torch.zeros(tuple(shape), dtype=DTYPES[dtype])
    tensor[mask] = values
    return tensor


def check_packed(dtype: str, packed: bytes, count: int) -> None:
    """Check that the bytes are ``count`` values of the dtype.

    Raises:
        ValueError: an unknown dtype, or another number of bytes.
    """
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; this version reads {', '.join(DTYPES)}")
    if len(packed) != count * DTYPES[dtype].itemsize:
        raise ValueError(f"{len(packed)} bytes, but {count} values of {dtype} take {count * DTYPES[dtype].itemsize}")


def weights_digest(dtype: str, packed: bytes, shape: Sequence[int]) -> str:
    """sha256 (hex) of one packed tensor: dtype, shape and values."""
    return hashlib.sha256(f"{dtype} {','.join(map(str, shape))}\0".encode() + packed).hexdigest()
