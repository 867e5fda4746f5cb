"""Masks on disk: bytes against the entropy bound, and how fast they are written and read.

Random, SNIP and FORCE masks of a ResNet-50, beside two plain ways to keep a mask. Speeds are in megabytes (10^6) of
the float32 weights that the masks belong to.
"""

import io
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

import pruning
from benchmarks.measure import Row, Setup
from pruning.diagnostics import MaskCounts
from pruning.macs import positions, tensor_macs
from pruning.packing import entropy_bytes, pack, unpack
from pruning.paths import effective
from sweep.records import Outcome, TrialRecord
from sweep.store import Store
from sweep.trial.mask_records import mask_records
from training import models

TRIAL = "0123456789abcdef"
IMAGE = (3, 32, 32)
ROOM, SPEED = 1.10, 100.0  # targets: file bytes over the bound, MB/s


def run(setup: Setup) -> Iterator[Row]:
    """All rows. ``full`` adds sparsities and the plain ways at each of them."""
    torch.manual_seed(0)
    model = models.build("resnet50", classes=10).to(setup.device)
    batch = (torch.randn(32, *IMAGE, device=setup.device), torch.randint(10, (32,), device=setup.device))
    methods: dict[str, dict[str, Any]] = {"random": {}, "snip": {}, "force": {"rounds": 10}}
    for method, options in methods.items():
        for sparsity in (0.9, 0.95, 0.98, 0.99, 0.995) if setup.full else (0.9, 0.99, 0.995):
            masks = pruning.prune(model, method, sparsity, [batch], **options).masks
            case = f"masks of ResNet-50, {method}, {100 * sparsity:g} %"
            stored = partial(_in_store, layers=_layers(model, masks))
            yield from _measured(f"{case}: the store", stored, masks, ROOM, SPEED, repeats=3)
            if setup.full or sparsity == 0.99:
                for way, plain in (("torch.save", _torch_save), ("packbits and savez_compressed", _savez)):
                    yield from _measured(f"{case}: {way}", plain, masks, None, None, repeats=1)


Sample = tuple[int, float, float]  # bytes, seconds to write, seconds to read


def _measured(
    name: str,
    way: Callable[[pruning.Masks], Sample],
    masks: pruning.Masks,
    room: float | None,
    speed: float | None,
    repeats: int,
) -> Iterator[Row]:
    """Medians of repeated samples; the first, which warms up, is left out."""
    megabytes = 4e-6 * sum(mask.numel() for mask in masks.values())
    bound = sum(map(entropy_bytes, masks.values()))
    samples = [way(masks) for _ in range(repeats + 1)][1:]
    sizes = [size / bound for size, _, _ in samples]
    yield _row(f"{name}, bytes over the entropy bound", sizes, "x", at_most=room)
    for what, column in (("write", 1), ("read", 2)):
        speeds = [megabytes / sample[column] for sample in samples]
        yield _row(f"{name}, {what}", speeds, "MB/s", at_least=speed)


def _row(name: str, samples: list[float], unit: str, **target: float | None) -> Row:
    return Row("masks", name, median(samples), min(samples), max(samples), unit, **target)


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _in_store(masks: pruning.Masks, layers: dict[str, MaskCounts]) -> Sample:
    """Packed and stored as a trial's are, then read from the store and unpacked. Hashes are not in the time."""
    packing, _ = _seconds(lambda: [pack(mask) for mask in masks.values()])
    outcome = Outcome(_trial(), masks=tuple(mask_records(TRIAL, masks, layers, layers)))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        writing, trial = _seconds(partial(store.write, outcome))
        reading, read = _seconds(partial(_read, store))
    _check(read, masks)
    return trial.mask_bytes, packing + writing, reading


def _read(store: Store) -> pruning.Masks:
    rows = store.masks([TRIAL], ["tensor", "encoding", "packed", "shape"]).to_pylist()
    return {row["tensor"]: unpack(row["encoding"], row["packed"], row["shape"]) for row in rows}


def _layers(model: nn.Module, masks: pruning.Masks) -> dict[str, MaskCounts]:
    alive, uses = effective(model, masks, IMAGE), positions(model, IMAGE)
    return {
        name: MaskCounts(
            total=mask.numel(),
            kept=int(mask.count_nonzero()),
            effective_kept=None if alive is None else int(alive[name].count_nonzero()),
            macs_dense=tensor_macs(name, mask, uses[name], torch.numel),
            macs_kept=tensor_macs(name, mask, uses[name], torch.count_nonzero),
        )
        for name, mask in masks.items()
    }


def _trial() -> TrialRecord:
    words = ("sweep", "data", "architecture", "architecture_options", "architecture_label", "method")
    text: dict[str, Any] = dict.fromkeys((*words, "method_options", "method_label", "config"), "")
    return TrialRecord(trial_id=TRIAL, status="completed", data_encoding=None, sparsity=0.0, seed=0, **text)


def _torch_save(masks: pruning.Masks) -> Sample:
    file = io.BytesIO()
    writing, _ = _seconds(lambda: torch.save(masks, file))
    file.seek(0)
    reading, read = _seconds(lambda: torch.load(file))
    _check(read, masks)
    return len(file.getvalue()), writing, reading


def _savez(masks: pruning.Masks) -> Sample:
    """A bit a weight, and zlib."""
    file = io.BytesIO()
    writing, _ = _seconds(lambda: np.savez_compressed(file, **_packed(masks)))
    file.seek(0)
    reading, read = _seconds(lambda: _unpacked(np.load(file), masks))
    _check(read, masks)
    return len(file.getvalue()), writing, reading


def _packed(masks: pruning.Masks) -> dict[str, Any]:
    return {name: np.packbits(mask.cpu().numpy()) for name, mask in masks.items()}


def _unpacked(arrays: Mapping[str, Any], like: pruning.Masks) -> pruning.Masks:
    bits = {name: np.unpackbits(arrays[name], count=mask.numel()).view(bool) for name, mask in like.items()}
    return {name: torch.from_numpy(flat).reshape(like[name].shape) for name, flat in bits.items()}


def _check(read: pruning.Masks, masks: pruning.Masks) -> None:
    if not all(torch.equal(read[name].cpu(), mask.cpu()) for name, mask in masks.items()):
        raise AssertionError("a mask was not read as it was written")
