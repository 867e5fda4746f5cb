"""Masks as files that other tools open: ``.npz`` (NumPy) and ``.safetensors``, one boolean array a parameter name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from pruning.masks import HasMasks, Masks, masks_of


def save_masks(path: str | Path, masks: Masks | HasMasks, metadata: Mapping[str, str] | None = None) -> None:
    """Write masks to a file, in the format that its name ends in: ``.npz`` or ``.safetensors``.

    Args:
        path: of the file, which is replaced if it exists.
        masks: by parameter name, or what has them: the result of :func:`pruning.prune`.
        metadata: texts to keep with them; only in ``.safetensors``, which has a place for them.

    Raises:
        ValueError: a name of another ending.
        ModuleNotFoundError: safetensors is not installed.
    """
    tensors = {name: mask.detach().cpu().contiguous() for name, mask in masks_of(masks).items()}
    _format(path)[0](Path(path), tensors, {"format": "pt", **(metadata or {})})


def load_masks(path: str | Path, device: str | torch.device = "cpu") -> Masks:
    """Read masks that :func:`save_masks`, ``sweep export`` or another tool wrote.

    Numbers other than booleans are masks if they are zeros and ones only.

    Args:
        path: of a ``.npz`` or ``.safetensors`` file.
        device: where the masks shall be.

    Raises:
        ValueError: a name of another ending, or a file that does not hold masks; the message says why.
        ModuleNotFoundError: safetensors is not installed.
    """
    masks = {}
    for name, tensor in _format(path)[1](Path(path)).items():
        if tensor.dtype != torch.bool and not bool(((tensor == 0) | (tensor == 1)).all()):
            raise ValueError(f"{path}: {name} is no mask: it has other values than 0 and 1")
        masks[name] = tensor.to(torch.bool).to(device)
    return masks


def _write_npz(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
    with path.open("wb") as file:  # given a name, NumPy may change its ending
        np.savez_compressed(file, **arrays)


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (BadZipFile, ValueError, TypeError, AttributeError, EOFError) as error:
        raise ValueError(f"{path}: not a .npz file with one array of numbers a mask ({error})") from error


def _write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    from safetensors.torch import save

    path.write_bytes(save(dict(tensors), dict(metadata)))  # save_file lets nobody else read the file


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a .safetensors file ({error})") from error


_Writer = Callable[[Path, Mapping[str, Tensor], Mapping[str, str]], None]
_Reader = Callable[[Path], dict[str, Tensor]]
FORMATS: dict[str, tuple[_Writer, _Reader]] = {
    ".npz": (_write_npz, _read_npz),
    ".safetensors": (_write_safetensors, _read_safetensors),
}


def _format(path: str | Path) -> tuple[_Writer, _Reader]:
    ending = Path(path).suffix
    if ending not in FORMATS:
        raise ValueError(f"{path}: the name of a file of masks ends in {' or '.join(FORMATS)}")
    return FORMATS[ending]
