"""Checkpoints: written whole or not at all, read without running code."""

import os
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch


def save(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them; an older file stays until this one is whole."""
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)  # renamed by now, unless something went wrong


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save` wrote, onto the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or holds something other than a checkpoint's plain contents.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    # what torch raises depends on which byte is wrong
    except (
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        KeyError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{os.fspath(path)} is no checkpoint or a damaged one ({reason}); delete it") from error
    if not isinstance(state, dict):
        raise ValueError(f"{os.fspath(path)} holds a {type(state).__name__}, not a checkpoint; delete it")
    return state
