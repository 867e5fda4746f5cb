"""Masks and weights of a stored trial as tensors, by the names of its network's ``state_dict``."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn

from pruning.ablations import REINITIALIZE
from pruning.masks import Masks, digest
from pruning.packed_weights import unpack_weights, weights_digest
from pruning.packing import unpack
from sweep.config.trial_config import TrialConfig, trial_from
from sweep.errors import InputError
from sweep.records import COMPLETED, TrialRecord
from sweep.store import Store
from sweep.store.lookup import stored_trial
from sweep.text import one_line, store_option
from sweep.trial.hashes import weights_hash
from sweep.trial.networks import drawn_network

Weights = dict[str, Tensor]
Which = Literal["initial", "final"]
StoreLike = str | os.PathLike[str] | Store


def load_masks(store: StoreLike, trial_id: str) -> Masks:
    """The masks of a trial's tested network, by parameter name, True = kept.

        masks = sweep.load_masks("results", "3f9c")

    Args:
        store: a folder, a URI or a :class:`sweep.store.Store`.
        trial_id: the beginning of it is enough.

    Raises:
        InputError: no such store or trial, or it has no masks.
    """
    opened, record = _found(store, trial_id)
    return masks_of(opened, record)


def initial_weights(store: StoreLike, trial_id: str) -> Weights:
    """The weights that a trial's training started from, before masks: made again from its config and seed.

    Imports the network's own code, where it has any: use it only with stores that you trust. With ``ablation:
    reinitialize`` these are the weights that were drawn again.

    Args:
        store: a folder, a URI or a :class:`sweep.store.Store`.
        trial_id: the beginning of it is enough.

    Raises:
        InputError: no such store or trial; or what is drawn here has another hash than the trial recorded, as another
            version of torch or of the network's code may draw other weights.
    """
    _, record = _found(store, trial_id)
    return dict(initial_network(record).state_dict())


def final_weights(store: StoreLike, trial_id: str) -> Weights:
    """The weights and buffers of a trial's tested network, removed weights being zero.

    They are stored where ``compute.keep_weights`` is ``final``.

    Args:
        store: a folder, a URI or a :class:`sweep.store.Store`.
        trial_id: the beginning of it is enough.

    Raises:
        InputError: no such store or trial, or its weights were not kept.
    """
    opened, record = _found(store, trial_id)
    return stored_weights(opened, record, masks_of(opened, record))


def masks_of(store: Store, record: TrialRecord) -> Masks:
    """The masks of a stored trial.

    Raises:
        InputError: it has none, or they are damaged.
    """
    rows = store.masks([record.trial_id]).sort_by("position").to_pylist()
    if not rows:
        raise InputError(f"trial {record.trial_id} has no masks in {store.name}: it is {record.status}")
    with _checked(store, record, "mask"):
        return dict(_unpacked_masks(rows))


def _unpacked_masks(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Tensor]]:
    for row in rows:
        mask = unpack(row["encoding"], row["packed"], row["shape"])
        if digest(mask) != row["hash"]:
            raise ValueError(f"that of {row['tensor']} has another hash than it was stored with")
        yield row["tensor"], mask


def has_final_weights(record: TrialRecord) -> bool:
    """Whether the trial's final weights were kept."""
    return record.kept_weights_hash is not None


def stored_weights(store: Store, record: TrialRecord, masks: Masks) -> Weights:
    """The final weights of a stored trial.

    Raises:
        InputError: they were not kept, or are damaged.
    """
    name = record.trial_id
    rows = store.weights(name).to_pylist() if has_final_weights(record) else []
    if not rows:
        why = "it ran without compute.keep_weights: final" if record.status == COMPLETED else f"it is {record.status}"
        option = store_option(store.name)
        raise InputError(
            f"trial {name} has no final weights in {store.name}: {why}. Run it again with them: sweep retry {name}"
            f" --force --set compute.keep_weights=final{option}"
        )
    with _checked(store, record, "tensor of the final weights"):
        return dict(_unpacked_weights(rows, masks))


def _unpacked_weights(rows: Iterable[Mapping[str, Any]], masks: Masks) -> Iterator[tuple[str, Tensor]]:
    for row in rows:
        tensor, packed, shape = row["tensor"], (row["dtype"], row["values"]), row["shape"]
        if weights_digest(*packed, shape) != row["hash"] or (row["masked"] and tensor not in masks):
            raise ValueError(f"{tensor} is not as it was stored")
        yield tensor, unpack_weights(*packed, shape, masks[tensor] if row["masked"] else None)


def initial_network(record: TrialRecord) -> nn.Module:
    """The network of a stored trial at the weights that its training started from, on the CPU.

    Raises:
        InputError: it cannot be built here, or what is drawn has another hash than the trial recorded.
    """
    trial = trial_from(json.loads(record.config))
    network = _drawn(trial, "weights")
    if record.initial_weights_hash and weights_hash(network) != record.initial_weights_hash:
        raise InputError(
            f"trial {record.trial_id}: its initial weights cannot be made again here: what its seed draws has another"
            f" hash than it recorded. It ran with {record.versions}; use these versions, and its network's code of then"
        )
    return _drawn(trial, "weights, drawn again") if trial.ablation == REINITIALIZE else network


def stored_network(store: Store, record: TrialRecord, which: Which, masks: Masks) -> nn.Module:
    """The network of a stored trial at its initial or final weights, on the CPU, in evaluation mode, not masked.

    Raises:
        InputError: as :func:`initial_network` and :func:`stored_weights`.
    """
    if which == "initial":
        return initial_network(record).eval()
    weights = stored_weights(store, record, masks)
    network = _drawn(trial_from(json.loads(record.config)), "weights")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"trial {record.trial_id}: its weights do not fit its network: {one_line(str(error))}"
        ) from None
    return network.eval()


def _drawn(trial: TrialConfig, purpose: str) -> nn.Module:
    try:
        return drawn_network(trial, purpose)
    except InputError:
        raise
    except Exception as error:  # a network of the user's own may raise anything
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise InputError(one_line(f"architecture {trial.architecture.label} cannot be built: {kind}{error}")) from error


def _found(store: StoreLike, trial_id: str) -> tuple[Store, TrialRecord]:
    opened = store if isinstance(store, Store) else Store(os.fspath(store))
    opened.check_exists()
    return opened, stored_trial(opened, trial_id)


@contextmanager
def _checked(store: Store, record: TrialRecord, what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InputError(
            f"trial {record.trial_id}: a {what} in {store.name} is damaged: {error}; see 'sweep verify'"
        ) from error
