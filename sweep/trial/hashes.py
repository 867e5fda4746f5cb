"""sha256 of weights, batches and masks, so that records show which trials started from the same ones."""

import hashlib
from collections.abc import Iterable

from torch import Tensor, nn


def weights_hash(model: nn.Module) -> str:
    """sha256 (hex) of all parameters and buffers by name."""
    return sha256(name.encode() + tensor_bytes(tensor) for name, tensor in model.state_dict().items())


def tensor_bytes(tensor: Tensor) -> bytes:
    """The values of a tensor in row-major order."""
    return tensor.detach().cpu().contiguous().numpy().tobytes()


def sha256(pieces: Iterable[bytes]) -> str:
    """sha256 (hex) of all pieces, one after the other."""
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()
