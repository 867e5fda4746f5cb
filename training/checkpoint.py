"""The bytes of a checkpoint: a training state with a checksum, read without running code.

The format: a line of text, the SHA-256 of the content, and the content as ``torch.save`` writes it. torch verifies no
checksum itself, so a flipped bit would become a wrong weight.
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
    """Serialize tensors (on any device), numbers, strings, None, and lists and dicts of these."""
    file = io.BytesIO()
    torch.save(state, file)
    content = file.getbuffer()
    return b"".join([_FIRST_LINE, hashlib.sha256(content).digest(), content])


def load(data: bytes) -> dict[str, Any]:
    """Read the bytes of `dump`, with tensors on the CPU.

    Raises:
        ValueError: the bytes are damaged, not a checkpoint of this version, or contain other types; in one line.
    """
    if not data.startswith(_FIRST_LINE):
        raise ValueError("this is not a checkpoint of this version")
    start = len(_FIRST_LINE) + _DIGEST
    content = memoryview(data)[start:]
    if hashlib.sha256(content).digest() != data[len(_FIRST_LINE) : start]:
        raise ValueError("this checkpoint is damaged or cut short")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    # torch raises different types for different contents
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"this checkpoint contains types that are not allowed ({reason})") from error
    if not isinstance(state, dict):
        raise ValueError(f"this checkpoint contains a {type(state).__name__}, not a dict")
    return state
