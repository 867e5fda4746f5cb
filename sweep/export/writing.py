"""Tensors and networks to files, in the formats of :mod:`sweep.export.formats`."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from pruning.mask_files import FORMATS as ARRAYS
from pruning.masks import Masks
from sweep.errors import InputError
from sweep.export.compact import CompactNetwork, Logits
from sweep.text import one_line


def write_tensors(path: Path, format: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write named tensors as npz, safetensors (with the metadata) or pt.

    Raises:
        InputError: NumPy has no such numbers.
    """
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}  # none shares memory
    if format == "pt":
        torch.save(own, path)
        return
    try:
        ARRAYS[f".{format}"][0](path, own, {"format": "pt", **metadata})
    except TypeError as error:
        raise InputError(f"--format {format}: {one_line(str(error))}; safetensors and pt can hold these") from None


def prune_state(state: Mapping[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    """The state that a network has once ``torch.nn.utils.prune`` has pruned it: ``weight_orig`` and ``weight_mask``."""
    named: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name in masks:
            named |= {f"{name}_orig": tensor, f"{name}_mask": masks[name].to(tensor.dtype)}
        else:
            named[name] = tensor
    return named


def check_onnx() -> None:
    """Check that torch can export to ONNX here.

    Raises:
        InputError: packages are missing; the message has the command that installs them.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"--format onnx needs {' and '.join(missing)}: pip install 'sweep[onnx]'")


def write_network(path: Path, format: str, network: CompactNetwork, metadata: Mapping[str, str]) -> None:
    """Write a compact network: its state as safetensors or pt, or the whole of it as onnx or pt2, for any batch size.

    Raises:
        InputError: torch cannot export the network.
    """
    if format not in ("onnx", "pt2"):
        write_tensors(path, format, network.model.state_dict(), metadata)
        return
    images = torch.zeros(2, *network.input_shape)
    shapes = ({0: torch.export.Dim("batch")},)
    model = Logits(network.model).eval()
    try:
        with _quiet():
            if format == "pt2":
                torch.export.save(torch.export.export(model, (images,), dynamic_shapes=shapes), path)
                return
            program = torch.onnx.export(
                model, (images,), input_names=["images"], output_names=["logits"], dynamic_shapes=shapes, verbose=False
            )
            assert program is not None  # the exporter returns None only for a network that is one already
            program.save(path)
    except Exception as error:  # whatever torch cannot export of a network's own code
        raise InputError(
            f"--format {format}: torch cannot export this network: {type(error).__name__}: {one_line(str(error), 300)};"
            " --format safetensors needs no export"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings and log lines of torch's exporters about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
