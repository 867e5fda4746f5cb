"""Checkpoints: a training's state as bytes that are read whole or not at all, and without running code.

A line of text, the SHA-256 of the rest, and the rest, which is what ``torch.save`` writes. torch checks no sums itself:
without ours, a flipped bit would be a weight.
"""

import hashlib
import io
import pickle
import zipfile
from typing import Any

import torch

_FIRST_LINE = b"sweep checkpoint 1\n"
_DIGEST = hashlib.sha256().digest_size  # bytes


def dump(state: dict[str, Any]) -> bytes:
    """The bytes of tensors, numbers, strings, None, and lists and dicts of them; tensors of any device."""
    file = io.BytesIO()
    torch.save(state, file)
    content = file.getbuffer()
    return b"".join([_FIRST_LINE, hashlib.sha256(content).digest(), content])


def load(data: bytes) -> dict[str, Any]:
    """Read what `dump` wrote, onto the CPU.

    Raises:
        ValueError: the bytes are damaged, or no checkpoint, or hold something other than its plain contents; in one
            line.
    """
    if not data.startswith(_FIRST_LINE):
        raise ValueError("this is no checkpoint of this version")
    start = len(_FIRST_LINE) + _DIGEST
    content = memoryview(data)[start:]
    if hashlib.sha256(content).digest() != data[len(_FIRST_LINE) : start]:
        raise ValueError("this checkpoint is damaged or cut short")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    # what torch raises depends on what else it is
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"this checkpoint holds something other than plain contents ({reason})") from error
    if not isinstance(state, dict):
        raise ValueError(f"this checkpoint holds a {type(state).__name__}, not a state")
    return state
