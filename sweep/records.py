"""The records that the store keeps of a trial. Each is defined only here; the Arrow schemas derive from the fields.

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

from sweep.text import trial_title

SCHEMA_VERSION = 3  # 2: masks in the encoding "rice"; 3: files named by outcome, folds, sweeps
OUTCOME = "outcome"  # the column that distinguishes the outcomes of one trial
COMPLETED, FAILED, DIVERGED, INTERRUPTED = STATUSES = ("completed", "failed", "diverged", "interrupted")


@dataclass(frozen=True)
class RoundRecord:
    """One score→mask pass: ``revived`` counts the weights that it regrew, ``lost`` those that it pruned.

    Before training for methods at initialization; during or after it for sparse training and lottery tickets.
    """

    round: int
    density: float
    kept: int
    revived: int
    lost: int
    force_objective: float | None = None  # Σ c |θ g| of the mask the round started from, on the round's batches


@dataclass(frozen=True)
class MaskRecord:
    """One masked tensor: its bits ``packed`` in ``encoding`` (``pruning.packing``), and a sha256 of shape and bits.

    The mask is that of the tested network. The last training may have started from another one (SET, RigL).
    """

    trial_id: str
    tensor: str
    position: int  # order in the network
    shape: tuple[int, ...]
    total: int
    kept: int
    density: float
    effective_kept: int | None  # kept weights on a path from input to output; None if unknown
    encoding: str
    packed: bytes
    hash: str
    effective_density: float | None = None  # effective_kept / total
    start_kept: int | None = None  # in the mask that the last training started from
    start_effective_kept: int | None = None
    macs_kept: int | None = None
    macs_dense: int | None = None


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
    """One trial: its config, its status, its measurements, and where it ran.

    ``started`` is the start of the first attempt, if it left a checkpoint. Times include all its attempts.
    """

    # the config
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
    sparsity: float  # as configured
    seed: int
    config: str  # the whole TrialConfig as JSON
    ablation: str | None = None  # how the method's mask was altered; "none" if it was not
    outcome: str | None = None  # 8 hex digits: the outcome's id, which is part of its file names
    written: datetime | None = None  # UTC: of several completed outcomes the one written last counts

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

    # the mask, as the (last) training starts
    prunable: int | None = None
    prunable_share: float | None = None  # prunable over all weights; recurrent layers and embeddings are never pruned
    kept: int | None = None
    achieved_sparsity: float | None = None
    effective_sparsity: float | None = None  # weights cut off from input or output count as removed; None: unknown
    empty_layers: int | None = None
    disconnected: bool | None = None  # whether no path of kept weights leads from input to output
    macs_dense: int | None = None
    macs_kept: int | None = None
    speedup: float | None = None  # theoretical: macs_dense / macs_kept; None if macs_kept is 0
    compression_ratio: float | None = None  # prunable / kept
    gradient_norm: float | None = None  # Σ c g², on the first pruning batches
    force_objective: float | None = None  # Σ c |θ g|, on the first pruning batches

    # the same for the tested network: its trained weights and its mask, which SET and RigL change in training
    final_sparsity: float | None = None
    final_effective_sparsity: float | None = None
    final_empty_layers: int | None = None
    final_disconnected: bool | None = None
    final_macs_kept: int | None = None
    final_gradient_norm: float | None = None
    final_force_objective: float | None = None

    # how the mask was made
    revived: int | None = None  # over all rounds
    rounds: tuple[RoundRecord, ...] = ()
    tied_kept: int | None = None  # weights that the last round kept by index because their scores were equal …
    tied_candidates: int | None = None  # … of so many with the threshold's score; both 0 if there were no ties
    unconserved_layers: int | None = None  # where SynFlow's scores cancel or vanish, so that rounding decides
    mask_hash: str | None = None  # sha256 over the tensors' hashes
    mask_bytes: int | None = None  # of the mask file, as stored
    mask_entropy_bytes: float | None = None  # the bound Σ n·H(density) over tensors

    # what every method at one seed must share
    initial_weights_hash: str | None = None
    pruning_batches_hash: str | None = None  # the batches of round one
    training_order_hash: str | None = None  # order of the images in epoch one
    final_weights_hash: str | None = None
    data_fingerprint: str | None = None  # of the decoded images
    data_content: str | None = (
        None  # of the images as stored (training.fingerprint); None if the data's name identifies them
    )

    # the cost
    prune_seconds: float | None = None
    prune_passes: int | None = None  # forward and backward passes before training, each over one batch
    prune_flops: float | None = None  # of those passes, over the dense network
    passes: int | None = None  # all forward and backward passes, of pruning and of every training
    training_flops: float | None = None  # of all passes, pruning included: two FLOPs per MAC of a kept weight, backward
    # twice the forward, as on hardware that skips every zero (Evci et al. 2020, appendix H)
    training_flops_share: float | None = None  # training_flops over those of training the dense network once
    trained_weights: int | None = None  # of the network that was trained, zeros included: fewer than `prunable` if …
    trained_macs: int | None = None  # … and fewer than `macs_dense` if compaction removed disconnected channels
    trained_whole: str | None = None  # why compaction removed no channels; None if it removed some
    step: str | None = None  # of (the last) training: "graph", captured and replayed on the GPU, or "eager"
    data_wait: float | None = None  # share of (the last) training spent waiting for images from disk
    train_seconds: float | None = None
    images_per_second: float | None = None  # median over epochs
    seconds: float | None = None  # the whole trial
    peak_memory_bytes: int | None = None  # GPU memory; on a CPU the process's memory, None if unknown

    # attempts and the error
    attempts: int | None = None  # number of starts: the first, and each after an interruption or an error
    accumulate: int | None = None  # micro-batches per step, if a whole batch did not fit in memory
    device_memory_bytes: int | None = None  # the device's total memory
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

    @property
    def title(self) -> str:
        """The trial's name in output: ``resnet50 force 99.5% s0``."""
        return trial_title(self.architecture_label, self.method_label, self.sparsity, self.seed)


@dataclass(frozen=True)
class SweepRecord:
    """A sweep as it was last launched: its config and its trials."""

    name: str
    config: str  # the whole SweepConfig as JSON, without secrets
    trials: tuple[str, ...]  # ids, in order
    launched: datetime  # UTC
    host: str | None = None
    versions: str | None = None  # JSON
    earlier: tuple[str, ...] | None = None  # ids of other trials, which earlier launches of this name planned


@dataclass(frozen=True)
class Outcome:
    """All records of one trial, written to the store together."""

    trial: TrialRecord
    epochs: tuple[EpochRecord, ...] = ()
    masks: tuple[MaskRecord, ...] = ()


def schema(record: type) -> pa.Schema:
    """The Arrow schema of a record class, fields in order of definition."""
    hints = typing.get_type_hints(record)
    fields = [_field(f.name, hints[f.name]) for f in dataclasses.fields(record)]
    return pa.schema(fields, metadata={"sweep.schema": str(SCHEMA_VERSION), "sweep.record": record.__name__})


def table(record: type, rows: typing.Iterable[Any]) -> pa.Table:
    """Records of one class as a table with its schema."""
    return pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema=schema(record))


def numbers(record: type) -> list[str]:
    """The fields of a record class that hold one number or boolean."""
    hints = typing.get_type_hints(record)
    kinds = {f.name: {hints[f.name], *typing.get_args(hints[f.name])} for f in dataclasses.fields(record)}
    return [name for name, kind in kinds.items() if kind & {int, float, bool}]


def trial_record(row: dict[str, Any]) -> TrialRecord:
    """The record for a row of the trials table."""
    return TrialRecord(**{**row, "rounds": tuple(RoundRecord(**fields) for fields in row["rounds"] or ())})


_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us", tz="+00:00"),  # files say "UTC", which pyarrow reads only with a time-zone database
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
