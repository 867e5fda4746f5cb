"""The records: what a trial leaves behind. Each is defined once, here; the Arrow schemas derive from the fields.

Units: accuracies and sparsities are fractions in [0, 1], losses are mean cross-entropies in nats, times are
seconds, sizes are bytes, MACs are multiply-accumulates for one image. ``None`` means not measured.
"""

import dataclasses
import types
import typing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Union

import pyarrow as pa

SCHEMA_VERSION = 1
COMPLETED, FAILED, DIVERGED, INTERRUPTED = STATUSES = ("completed", "failed", "diverged", "interrupted")


@dataclass(frozen=True)
class RoundRecord:
    """One score→mask pass of pruning: ``revived`` removed weights came back, ``lost`` kept ones went."""

    round: int
    density: float
    kept: int
    revived: int
    lost: int


@dataclass(frozen=True)
class MaskRecord:
    """One masked tensor: its bits ``packed`` in ``encoding`` (``pruning.packing``), and a sha256 of shape and bits."""

    trial_id: str
    tensor: str
    position: int  # order in the network
    shape: tuple[int, ...]
    total: int
    kept: int
    density: float
    effective_kept: int  # kept weights on a path from input to output
    encoding: str
    packed: bytes
    hash: str


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of training."""

    trial_id: str
    epoch: int  # from 1
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float  # of the epoch's last step
    images_per_second: float
    epoch_seconds: float


@dataclass(frozen=True)
class TrialRecord:
    """One trial: what it was, how it ended, what it measured, where it ran."""

    # what it was
    trial_id: str
    sweep: str
    status: str  # one of STATUSES
    data: str
    data_encoding: str | None  # "JPEG" where the images are a lossy copy, else "exact"
    architecture: str
    architecture_options: str  # JSON
    architecture_label: str
    method: str
    method_options: str  # JSON
    method_label: str  # the name and the options that differ from their defaults
    sparsity: float  # as asked for
    seed: int
    config: str  # the whole TrialConfig as JSON

    # the outcome
    test_accuracy: float | None = None  # after the last epoch
    test_loss: float | None = None
    validation_accuracy: float | None = None  # after the last epoch
    best_validation_accuracy: float | None = None
    best_epoch: int | None = None
    train_accuracy: float | None = None  # of the last epoch
    train_loss: float | None = None
    epochs: int = 0  # finished
    classes: int | None = None

    # the mask
    prunable: int | None = None
    kept: int | None = None
    achieved_sparsity: float | None = None
    effective_sparsity: float | None = None  # weights cut off from input or output count as removed
    empty_layers: int | None = None
    macs_dense: int | None = None
    macs_kept: int | None = None
    gradient_norm: float | None = None  # Σ c g², on the first pruning batches
    force_objective: float | None = None  # Σ c |θ g|, on the first pruning batches
    revived: int | None = None  # over all rounds
    rounds: tuple[RoundRecord, ...] = ()
    mask_hash: str | None = None  # sha256 over the tensors' hashes
    mask_bytes: int | None = None  # of the mask file, as stored
    mask_entropy_bytes: float | None = None  # the bound Σ n·H(density) over tensors

    # what every method at one seed must share
    initial_weights_hash: str | None = None
    pruning_batches_hash: str | None = None  # the batches of round one
    training_order_hash: str | None = None  # order of the images in epoch one
    final_weights_hash: str | None = None
    data_fingerprint: str | None = None

    # the price
    prune_seconds: float | None = None
    prune_passes: int | None = None  # forward and backward passes, each over one batch
    train_seconds: float | None = None
    images_per_second: float | None = None  # median over epochs
    seconds: float | None = None  # the whole trial
    peak_memory_bytes: int | None = None  # of the GPU; of the process on a CPU

    # how it failed
    error_type: str | None = None
    error_message: str | None = None
    traceback: str | None = None  # its tail

    # where it ran
    started: datetime | None = None  # UTC
    host: str | None = None
    device: str | None = None
    threads: int | None = None  # of torch, on the CPU: another number may round differently
    cluster: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    versions: str | None = None  # JSON: python, torch, torchvision, sweep …


@dataclass(frozen=True)
class Outcome:
    """All records of one trial: written to the store together."""

    trial: TrialRecord
    epochs: tuple[EpochRecord, ...] = ()
    masks: tuple[MaskRecord, ...] = ()


def schema(record: type) -> pa.Schema:
    """The Arrow schema of a record class, fields in order of definition."""
    hints = typing.get_type_hints(record)
    fields = [_field(f.name, hints[f.name]) for f in dataclasses.fields(record)]
    return pa.schema(fields, metadata={"sweep.schema": str(SCHEMA_VERSION), "sweep.record": record.__name__})


def table(record: type, rows: typing.Iterable[Any]) -> pa.Table:
    """Records of one class as a table of its schema."""
    return pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema=schema(record))


def trial_record(row: dict[str, Any]) -> TrialRecord:
    """The record that a row of the table of trials holds."""
    return TrialRecord(**{**row, "rounds": tuple(RoundRecord(**each) for each in row["rounds"] or ())})


_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us", tz="UTC"),
}


def _field(name: str, hint: Any) -> pa.Field:
    nullable = typing.get_origin(hint) in (Union, types.UnionType)
    kind = next(a for a in typing.get_args(hint) if a is not type(None)) if nullable else hint
    return pa.field(name, _type(kind), nullable=nullable)


def _type(kind: Any) -> pa.DataType:
    if typing.get_origin(kind) is tuple:
        return pa.list_(_type(typing.get_args(kind)[0]))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return pa.struct([_field(f.name, hints[f.name]) for f in dataclasses.fields(kind)])
    return _ARROW[kind]
