"""What ``sweep export`` writes: checked before anything runs, and written whole or not at all."""

import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

import pruning
from sweep.config.trial_config import trial_from
from sweep.errors import InputError
from sweep.export.compact import CompactNetwork, compact_network
from sweep.export.formats import FORMATS, Content, chosen_format
from sweep.export.stored import (
    Which,
    has_final_weights,
    initial_network,
    masks_of,
    stored_network,
    stored_weights,
)
from sweep.export.writing import check_onnx, prune_state, write_network, write_tensors
from sweep.records import TrialRecord
from sweep.store import Store
from training import data


@dataclass(frozen=True)
class Request:
    """What to export of a trial.

    Attributes:
        content: masks, weights or the compact network.
        which: the weights; None: the final ones where they are stored, else the initial ones.
        format: a name of :data:`sweep.export.formats.FORMATS`; None: by the ending of ``out``, or the usual one.
        out: the file to write, or a folder for a file of the usual name; None: the working folder.
        force: replace files that exist.
    """

    content: Content
    which: Which | None = None
    format: str | None = None
    out: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: the paths, the main file first.
        format: of the main file.
        opened_by: what reads the main file.
        weights: which weights are in it; None for masks alone.
        network: the compact network; None for masks and weights.
    """

    files: list[Path]
    format: str
    opened_by: str
    weights: Which | None
    network: CompactNetwork | None = None


def export(store: Store, record: TrialRecord, request: Request) -> Exported:
    """Write masks, weights or the compact network of a stored trial.

    Raises:
        InputError: the trial lacks what is asked for, a file exists, or a file cannot be written.
    """
    format = chosen_format(request.content, request.format, request.out)
    bare_masks = request.content == "masks" and format != "torch-prune"
    if bare_masks and request.which:
        raise InputError(f"--weights: a {format} file of masks has no weights; --format torch-prune has both")
    if format == "onnx":
        check_onnx()
    which = None if bare_masks else request.which or ("final" if has_final_weights(record) else "initial")
    path = _path(record, request, format, which)
    described = path.with_name(f"{path.name}.json") if request.content == "compact" else None
    files = [path, *([described] if described else [])]
    _check_absent(files, request.force)
    masks, metadata = masks_of(store, record), _metadata(record, which)
    if which is None:
        tensors: dict[str, Tensor] = dict(masks)
        _write({path: lambda target: write_tensors(target, format, tensors, metadata)})
        return Exported(files, format, FORMATS["masks"][format].opened_by, None)
    if described is None:
        state = stored_weights(store, record, masks) if which == "final" else initial_network(record).state_dict()
        state = prune_state(state, masks) if format == "torch-prune" else state
        kind = "pt" if format == "torch-prune" else format
        _write({path: lambda target: write_tensors(target, kind, state, metadata)})
        return Exported(files, format, FORMATS[request.content][format].opened_by, which)
    network = compact_network(stored_network(store, record, which, masks), masks, _input_shape(record))
    text = _lines(description(record, network, which))
    _write({
        path: lambda target: write_network(target, format, network, metadata),
        described: lambda target: target.write_text(text, encoding="utf-8"),
    })  # fmt: skip
    return Exported(files, format, FORMATS["compact"][format].opened_by, which, network)


def description(record: TrialRecord, network: CompactNetwork, which: Which) -> dict[str, Any]:
    """The JSON beside a compact network: its widths, and how far its outputs are from the masked network's."""
    config = json.loads(record.config)
    return {
        "trial": record.trial_id,
        "title": record.title,
        "architecture": config["architecture"],
        "weights": which,
        "input_shape": list(network.input_shape),
        "classes": record.classes,
        "no_channel_removed": network.reason,
        "weights_of_masked_tensors": network.weights,
        "weights_of_masked_tensors_dense": network.weights_dense,
        "macs": network.macs,
        "macs_dense": network.macs_dense,
        "largest_difference_of_a_logit": network.difference,
        "largest_logit": network.largest,
        "layers": [
            {"module": w.module, "kind": w.kind, "shape": list(w.shape), "dense_shape": list(w.dense_shape)}
            for w in network.widths
        ],
        "sweep": pruning.__version__,
    }


def _lines(values: dict[str, Any]) -> str:
    """JSON with one line a key, and one a layer."""

    def line(value: Any) -> str:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
        return json.dumps(value)

    return "{\n" + ",\n".join(f" {json.dumps(key)}: {line(value)}" for key, value in values.items()) + "\n}\n"


def _metadata(record: TrialRecord, which: Which | None) -> dict[str, str]:
    facts = {"trial": record.trial_id, "title": record.title, "mask_hash": record.mask_hash or ""}
    return facts | ({"weights": which} if which else {}) | {"sweep": pruning.__version__}


def _input_shape(record: TrialRecord) -> tuple[int, ...]:
    config = trial_from(json.loads(record.config)).data
    return (data.info(config.name).channels, config.side, config.side)


def _path(record: TrialRecord, request: Request, format: str, which: Which | None) -> Path:
    """The file to write."""
    out = request.out or Path()
    if out.suffix and not out.is_dir():
        return out
    what = request.content if request.content == "masks" else f"{request.content}-{which}"
    return out / f"{record.trial_id}-{what}{FORMATS[request.content][format].ending}"


def _check_absent(files: list[Path], force: bool) -> None:
    for file in files:
        if file.is_dir():
            raise InputError(f"--out {file}: this is a folder")
        if file.exists() and not force:
            raise InputError(f"--out: {file} exists; --force replaces it, another --out keeps it")


def _write(writers: dict[Path, Callable[[Path], Any]]) -> None:
    """Write files beside their places first, then move all of them there."""
    written: dict[Path, Path] = {}
    try:
        for path, write in writers.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            written[path] = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
            write(written[path])
        for path, temporary in written.items():
            os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"--out: cannot write {error.filename or ', '.join(map(str, writers))}: {error.strerror}"
        ) from error
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)
