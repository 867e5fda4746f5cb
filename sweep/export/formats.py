"""The kinds of files that masks, weights and compact networks can be written to. Imports no torch."""

from pathlib import Path
from typing import Literal, NamedTuple

from sweep.errors import InputError

Content = Literal["masks", "weights", "compact"]


class Format(NamedTuple):
    """A kind of file: how its names end, and what opens it, per kind of content."""

    ending: str
    opened_by: str


FORMATS: dict[Content, dict[str, Format]] = {  # the first of each is the default
    "masks": {
        "npz": Format(".npz", "numpy.load, pruning.load_masks"),
        "safetensors": Format(".safetensors", "safetensors.torch.load_file, pruning.load_masks"),
        "torch-prune": Format(".pt", "torch.load, then load_state_dict after torch.nn.utils.prune.identity"),
    },
    "weights": {
        "safetensors": Format(".safetensors", "safetensors.torch.load_file, then load_state_dict"),
        "npz": Format(".npz", "numpy.load"),
        "pt": Format(".pt", "torch.load, then load_state_dict"),
    },
    "compact": {
        "safetensors": Format(".safetensors", "safetensors.torch.load_file; docs/take-it-home.md rebuilds the network"),
        "pt": Format(".pt", "torch.load; docs/take-it-home.md rebuilds the network"),
        "onnx": Format(".onnx", "onnxruntime.InferenceSession"),
        "pt2": Format(".pt2", "torch.export.load(FILE).module()"),
    },
}
NAMES = tuple(dict.fromkeys(name for formats in FORMATS.values() for name in formats))


def chosen_format(content: Content, name: str | None, out: Path | None) -> str:
    """The format by its name, else by the ending of the file's name, else the default.

    Raises:
        InputError: there is no such format of this content, or the file's name ends in that of another.
    """
    known = FORMATS[content]
    endings = ", ".join(f"{format.ending} ({key})" for key, format in known.items())
    suffix = out.suffix if out is not None and not out.is_dir() else ""
    if name is not None and name not in known:
        raise InputError(f"--format {name}: {content} can be written as {', '.join(known)}")
    by_ending = next((key for key, format in known.items() if format.ending == suffix), None)
    if suffix and by_ending is None:
        raise InputError(f"--out {out}: the name of a file of {content} ends in {endings}")
    if name is not None and suffix and known[name].ending != suffix:
        raise InputError(f"--out {out}: files of --format {name} end in {known[name].ending}")
    return name or by_ending or next(iter(known))
