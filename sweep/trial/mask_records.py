"""From masks to their records, one a tensor, and to the fields that the trial's record has of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pruning
from pruning.diagnostics import MaskCounts
from pruning.masks import digest
from pruning.packing import entropy_bytes, pack
from sweep.records import MaskRecord
from sweep.trial.hashes import sha256


def mask_records(
    trial_id: str, masks: pruning.Masks, layers: Mapping[str, MaskCounts], start: Mapping[str, MaskCounts | MaskRecord]
) -> Iterable[MaskRecord]:
    """One record for each masked tensor, in the network's order.

    Args:
        trial_id: of the trial.
        masks: what is stored.
        layers: diagnostics of these masks, by tensor.
        start: the same of the masks that the last training started from.
    """
    for position, (name, mask) in enumerate(masks.items()):
        encoding, packed = pack(mask)
        layer = layers[name]
        yield MaskRecord(
            trial_id=trial_id,
            tensor=name,
            position=position,
            shape=tuple(mask.shape),
            total=layer.total,
            kept=layer.kept,
            density=layer.kept / layer.total,
            effective_kept=layer.effective_kept,
            encoding=encoding,
            packed=packed,
            hash=digest(mask),
            effective_density=None if layer.effective_kept is None else layer.effective_kept / layer.total,
            start_kept=start[name].kept,
            start_effective_kept=start[name].effective_kept,
            macs_dense=layer.macs_dense,
            macs_kept=layer.macs_kept,
        )


def mask_fields(records: Sequence[MaskRecord], masks: pruning.Masks) -> dict[str, Any]:
    """The hash of all masks together, and the bytes that they take at the least."""
    return {
        "mask_hash": sha256(record.hash.encode() for record in records),
        "mask_entropy_bytes": sum(entropy_bytes(mask) for mask in masks.values()),
    }
