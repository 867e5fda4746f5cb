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

from sweep.text import trial_title

SCHEMA_VERSION = 3  # 2: masks in the encoding "rice"; 3: files named by outcome, folds, sweeps
OUTCOME = "outcome"  # the column that tells outcomes of one trial from each other
COMPLETED, FAILED, DIVERGED, INTERRUPTED = STATUSES = ("completed", "failed", "diverged", "interrupted")


@dataclass(frozen=True)
class RoundRecord:
    """One score→mask pass: ``revived`` removed weights came back, ``lost`` kept ones went.

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

    The mask is the one that the tested network has. The last training may have started from another (SET, RigL).
    """

    trial_id: str
    tensor: str
    position: int  # order in the network
    shape: tuple[int, ...]
    total: int
    kept: int
    density: float
    effective_kept: int | None  # kept weights on a path from input to output; None where that cannot be told
    encoding: str
    packed: bytes
    hash: str
    effective_density: float | None = None  # effective_kept / total
    start_kept: int | None = None  # of the mask that the last training started from
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
    """One trial: what it was, how it ended, what it measured, where it ran.

    ``started`` is of its first attempt, where that left a checkpoint; times are of all attempts that led to this one.
    """

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
    ablation: str | None = None  # a control made of the method's mask, "none" where there is none
    outcome: str | None = None  # 8 hex digits: which outcome of the trial this is, and what its files are named by
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
    disconnected: bool | None = None  # no path of kept weights from input to output is left
    macs_dense: int | None = None
    macs_kept: int | None = None
    speedup: float | None = None  # theoretical: macs_dense / macs_kept; None where nothing is left
    compression_ratio: float | None = None  # prunable / kept
    gradient_norm: float | None = None  # Σ c g², on the first pruning batches
    force_objective: float | None = None  # Σ c |θ g|, on the first pruning batches

    # the same of the tested network: at its trained weights, and at its mask, which SET and RigL have moved
    final_sparsity: float | None = None
    final_effective_sparsity: float | None = None
    final_empty_layers: int | None = None
    final_disconnected: bool | None = None
    final_macs_kept: int | None = None
    final_gradient_norm: float | None = None
    final_force_objective: float | None = None

    # how the mask came about
    revived: int | None = None  # over all rounds
    rounds: tuple[RoundRecord, ...] = ()
    tied_kept: int | None = None  # weights that the last round kept for their index among equal scores …
    tied_candidates: int | None = None  # … and how many had the threshold's score; 0 and 0 where none was chosen so
    unconserved_layers: int | None = None  # layers in which SynFlow's scores cancel or vanish: rounding decides there
    mask_hash: str | None = None  # sha256 over the tensors' hashes
    mask_bytes: int | None = None  # of the mask file, as stored
    mask_entropy_bytes: float | None = None  # the bound Σ n·H(density) over tensors

    # what every method at one seed must share
    initial_weights_hash: str | None = None
    pruning_batches_hash: str | None = None  # the batches of round one
    training_order_hash: str | None = None  # order of the images in epoch one
    final_weights_hash: str | None = None
    data_fingerprint: str | None = None  # of the decoded images
    data_content: str | None = None  # of the images as stored (training.fingerprint); None where the name says it

    # the price
    prune_seconds: float | None = None
    prune_passes: int | None = None  # forward and backward passes before training, each over one batch
    prune_flops: float | None = None  # of those passes, over the dense network
    passes: int | None = None  # forward and backward passes in all: pruning and every training
    training_flops: float | None = None  # of all passes, pruning included; two FLOPs a MAC of a kept weight, backward
    # twice the forward: what hardware that skips every zero would do (Evci et al. 2020, appendix H)
    training_flops_share: float | None = None  # training_flops over those of training the dense network once
    trained_weights: int | None = None  # zeros included, of the network that did the training: fewer than `prunable`
    trained_macs: int | None = None  # and `macs_dense` where channels that carry nothing were left out (compaction)
    trained_whole: str | None = None  # why all channels were trained; None where some were left out
    step: str | None = None  # of (the last) training: "graph", captured and replayed on the GPU, or "eager"
    data_wait: float | None = None  # share of (the last) training spent waiting for images that are read from disk
    train_seconds: float | None = None
    images_per_second: float | None = None  # median over epochs
    seconds: float | None = None  # the whole trial
    peak_memory_bytes: int | None = None  # while it ran: of the GPU; of the process on a CPU, if that can be told

    # how it got there, and how it failed
    attempts: int | None = None  # how often it was begun: resumed after an interruption, or tried again after an error
    accumulate: int | None = None  # micro-batches a step, where memory had room for no more at once than so
    device_memory_bytes: int | None = None  # what there is of it in all
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
        """What people call the trial: ``resnet50 force 99.5% s0``."""
        return trial_title(self.architecture_label, self.method_label, self.sparsity, self.seed)


@dataclass(frozen=True)
class SweepRecord:
    """A sweep as it was last launched: what there is to run, told without its YAML."""

    name: str
    config: str  # the whole SweepConfig as JSON, without secrets
    trials: tuple[str, ...]  # ids, in order
    launched: datetime  # UTC
    host: str | None = None
    versions: str | None = None  # JSON
    earlier: tuple[str, ...] | None = None  # ids of other trials, which earlier launches under this name asked for


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


def numbers(record: type) -> list[str]:
    """The fields of a record class that hold one number, or a truth."""
    hints = typing.get_type_hints(record)
    kinds = {f.name: {hints[f.name], *typing.get_args(hints[f.name])} for f in dataclasses.fields(record)}
    return [name for name, kind in kinds.items() if kind & {int, float, bool}]


def trial_record(row: dict[str, Any]) -> TrialRecord:
    """The record that a row of the table of trials holds."""
    return TrialRecord(**{**row, "rounds": tuple(RoundRecord(**each) for each in row["rounds"] or ())})


_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us", tz="+00:00"),  # in files "UTC", which needs a time-zone database to be read
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
