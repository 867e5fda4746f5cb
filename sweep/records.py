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
    """One score→mask pass.

    Before training for methods at initialization; during or after it for sparse training and lottery tickets.

    Attributes:
        round: number of the pass, from 1.
        density: fraction of the weights that it kept.
        kept: number of weights that it kept.
        revived: number of weights that it regrew: removed before it, kept after it.
        lost: number of weights that it pruned: kept before it, removed after it.
        force_objective: Σ c |θ g| of the mask that the round started from, on the round's batches.
    """

    round: int
    density: float
    kept: int
    revived: int
    lost: int
    force_objective: float | None = None


@dataclass(frozen=True)
class MaskRecord:
    """One masked tensor.

    The mask is that of the tested network. The last training may have started from another one (SET, RigL).

    Attributes:
        trial_id: the trial.
        tensor: name of the layer's weight in the network, as in its ``state_dict()``.
        position: place of the layer in the network, from 0.
        shape: of the tensor.
        total: number of weights.
        kept: number of kept weights.
        density: kept / total.
        effective_kept: number of kept weights on a path from input to output; null if unknown.
        encoding: how ``packed`` holds the mask: rice, bits or gaps.
        packed: the mask; ``pruning.packing.unpack(encoding, packed, shape)`` decodes it.
        hash: sha256 of shape and mask.
        effective_density: effective_kept / total.
        start_kept: number of kept weights in the mask that the last training started from.
        start_effective_kept: those of them on a path from input to output; null if unknown.
        macs_kept: number of multiply-accumulates of kept weights, for one image.
        macs_dense: number of multiply-accumulates of all weights, for one image.
    """

    trial_id: str
    tensor: str
    position: int
    shape: tuple[int, ...]
    total: int
    kept: int
    density: float
    effective_kept: int | None
    encoding: str
    packed: bytes
    hash: str
    effective_density: float | None = None
    start_kept: int | None = None
    start_effective_kept: int | None = None
    macs_kept: int | None = None
    macs_dense: int | None = None


@dataclass(frozen=True)
class WeightRecord:
    """One tensor of the tested network: a parameter or a buffer. Stored where ``compute.keep_weights`` asks for it.

    Attributes:
        trial_id: the trial.
        tensor: its name in the network's ``state_dict()``.
        position: its place there, from 0.
        shape: of the tensor.
        dtype: of its numbers, such as float32.
        masked: whether only the values of kept weights are stored.
        values: bytes of the numbers, row-major and little-endian; ``numpy.frombuffer(values, dtype)`` decodes them.
        hash: sha256 of dtype, shape and values.
    """

    trial_id: str
    tensor: str
    position: int
    shape: tuple[int, ...]
    dtype: str
    masked: bool
    values: bytes
    hash: str


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of training.

    Attributes:
        trial_id: the trial.
        epoch: its number, from 1; where a method trains more than once, over all trainings.
        train_loss: mean cross-entropy over the epoch's training images, in nats.
        train_accuracy: accuracy on the epoch's training images.
        validation_loss: mean cross-entropy on the held-out training images after the epoch; null without any.
        validation_accuracy: accuracy on the held-out training images after the epoch; null without any.
        learning_rate: of the epoch's last step.
        images_per_second: training images a second.
        epoch_seconds: duration of the epoch.
    """

    trial_id: str
    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    images_per_second: float
    epoch_seconds: float


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its config, its status, its measurements, and where it ran. Times include all its attempts.

    Attributes:
        trial_id: 16 hex digits: a hash of everything that decides the trial's result.
        sweep: the sweep that ran it first.
        status: how it ended: completed, failed, diverged or interrupted.
        data: name of the data set in the config.
        data_encoding: JPEG if the images are a lossy copy, else exact; null if no image was read.
        architecture: name of the network in the config.
        architecture_options: its options, as JSON.
        architecture_label: its name and the options that differ from their defaults.
        method: name of the pruning method in the config.
        method_options: its options, as JSON.
        method_label: its name and the options that differ from their defaults.
        sparsity: as configured: the fraction of the prunable weights that is removed.
        seed: as configured.
        config: the whole config of the trial, as JSON.
        ablation: how the method's mask was altered; "none" if it was not.
        outcome: 8 hex digits: the outcome's id, which is part of its file names.
        written: when the record was stored, UTC. Of several completed outcomes the one written last counts.
        test_accuracy: accuracy on the test set after the last epoch.
        test_loss: mean cross-entropy on the test set after the last epoch, in nats.
        validation_accuracy: accuracy on held-out training images after the last epoch.
        best_validation_accuracy: the highest validation accuracy of any epoch.
        best_epoch: the epoch with the highest validation accuracy.
        train_accuracy: accuracy on the training images of the last epoch.
        train_loss: mean cross-entropy on the training images of the last epoch, in nats.
        epochs: number of finished epochs.
        classes: number of classes of the data.
        prunable: number of prunable weights.
        prunable_share: prunable weights over all weights; recurrent layers and embeddings are never pruned.
        kept: number of kept weights as the last training starts.
        achieved_sparsity: fraction of the prunable weights that is removed as the last training starts.
        effective_sparsity: the same, but kept weights on no path from input to output count as removed; null if
            unknown.
        effective_nodes: number of output channels of masked layers that a kept weight on a path from input to output
            leads into as the last training starts; null if unknown.
        log_paths: base-10 logarithm of the number of paths of kept weights from input to output as the last training
            starts; an average over positions counts the average of their paths, a maximum the largest; null if there
            is none, or outputs are not proportional to inputs.
        empty_layers: number of layers without a kept weight as the last training starts.
        disconnected: whether no path of kept weights leads from input to output as the last training starts; null if
            unknown.
        macs_dense: number of multiply-accumulates of the dense network, for one image.
        macs_kept: number of multiply-accumulates of the kept weights as the last training starts, for one image.
        speedup: in theory, macs_dense / macs_kept; null if macs_kept is 0.
        compression_ratio: prunable / kept.
        gradient_norm: Σ c g² on the first pruning batches, as the last training starts.
        force_objective: Σ c |θ g| on the first pruning batches, as the last training starts.
        final_sparsity: achieved_sparsity of the tested network, whose mask SET and RigL change in training.
        final_effective_sparsity: effective_sparsity of the tested network.
        final_effective_nodes: effective_nodes of the tested network.
        final_log_paths: log_paths of the tested network.
        final_empty_layers: empty_layers of the tested network.
        final_disconnected: disconnected of the tested network.
        final_macs_kept: macs_kept of the tested network.
        final_gradient_norm: gradient_norm of the tested network and its trained weights.
        final_force_objective: force_objective of the tested network and its trained weights.
        revived: number of weights that were regrown, over all rounds.
        rounds: the score→mask passes.
        tied_kept: number of weights that the last round kept by index because their scores were equal.
        tied_candidates: number of weights with the threshold's score, of which tied_kept were kept; 0 without ties.
        unconserved_layers: number of layers where SynFlow's scores cancel or vanish, so that rounding decides the mask.
        mask_hash: sha256 over the hashes of all masked tensors.
        mask_bytes: size of the mask file, as stored.
        mask_entropy_bytes: the bound Σ n·H(density) over tensors on the size of the masks.
        kept_weights_hash: sha256 over the hashes of the stored final weights; null if none are stored.
        weights_bytes: size of the file of final weights, as stored.
        initial_weights_hash: sha256 of the initial weights, which all methods at one seed share.
        pruning_batches_hash: sha256 of the batches of round one, which all methods at one seed share.
        training_order_hash: sha256 of the order of the images in epoch one, which all methods at one seed share.
        final_weights_hash: sha256 of the trained weights.
        data_fingerprint: of the decoded images.
        data_content: of the images as stored (``training.fingerprint``); null if the data's name identifies them.
        prune_seconds: duration of pruning.
        prune_passes: forward and backward passes before training, each over one batch.
        prune_flops: FLOPs of those passes, over the dense network.
        passes: all forward and backward passes, of pruning and of every training.
        training_flops: FLOPs of all passes, pruning included: two for each multiply-accumulate of a kept weight,
            backward twice the forward, as on hardware that skips every zero (Evci et al. 2020, appendix H).
        training_flops_share: training_flops over those of training the dense network once.
        trained_weights: weights of the network that was trained, zeros included: fewer than prunable if compaction
            removed disconnected channels.
        trained_macs: number of multiply-accumulates of the network that was trained, zeros included: fewer than
            macs_dense if compaction removed disconnected channels.
        trained_whole: why compaction removed no channels; null if it removed some.
        step: how the last training ran: "graph", captured and replayed on the GPU, or "eager".
        data_wait: share of the last training spent waiting for images from disk.
        train_seconds: duration of all trainings.
        images_per_second: training images a second, median over epochs.
        seconds: duration of the whole trial.
        peak_memory_bytes: the most GPU memory in use; on a CPU the process's memory; null if unknown.
        attempts: number of starts: the first, and each after an interruption or an error.
        preemptions: how often the trial's machine was taken away; null in records of earlier versions.
        accumulate: micro-batches a step, if a whole batch did not fit in memory.
        device_memory_bytes: the device's total memory.
        error_type: class of the error that ended the trial.
        error_message: its message.
        traceback: the end of its traceback.
        started: start of the first attempt, if it left a checkpoint, else of the last; UTC.
        host: name of the machine.
        device: the device that trained.
        gpu_share: share of a GPU that the trial had: 0.25 where four at once shared it; None on a CPU.
        threads: torch's threads on the CPU: another number may round differently.
        cluster: name of the cluster: `compute.cluster`, or the host that launched the trial.
        git_commit: commit of the checkout that ran it.
        git_dirty: whether that checkout had uncommitted changes.
        versions: versions of Python, torch, torchvision, sweep and others, as JSON.
    """

    # the config
    trial_id: str
    sweep: str
    status: str
    data: str
    data_encoding: str | None
    architecture: str
    architecture_options: str
    architecture_label: str
    method: str
    method_options: str
    method_label: str
    sparsity: float
    seed: int
    config: str
    ablation: str | None = None
    outcome: str | None = None
    written: datetime | None = None

    # the outcome
    test_accuracy: float | None = None
    test_loss: float | None = None
    validation_accuracy: float | None = None
    best_validation_accuracy: float | None = None
    best_epoch: int | None = None
    train_accuracy: float | None = None
    train_loss: float | None = None
    epochs: int = 0
    classes: int | None = None

    # the mask, as the (last) training starts
    prunable: int | None = None
    prunable_share: float | None = None
    kept: int | None = None
    achieved_sparsity: float | None = None
    effective_sparsity: float | None = None
    effective_nodes: int | None = None
    log_paths: float | None = None
    empty_layers: int | None = None
    disconnected: bool | None = None
    macs_dense: int | None = None
    macs_kept: int | None = None
    speedup: float | None = None
    compression_ratio: float | None = None
    gradient_norm: float | None = None
    force_objective: float | None = None

    # the same for the tested network: its trained weights and its mask, which SET and RigL change in training
    final_sparsity: float | None = None
    final_effective_sparsity: float | None = None
    final_effective_nodes: int | None = None
    final_log_paths: float | None = None
    final_empty_layers: int | None = None
    final_disconnected: bool | None = None
    final_macs_kept: int | None = None
    final_gradient_norm: float | None = None
    final_force_objective: float | None = None

    # how the mask was made
    revived: int | None = None
    rounds: tuple[RoundRecord, ...] = ()
    tied_kept: int | None = None
    tied_candidates: int | None = None
    unconserved_layers: int | None = None
    mask_hash: str | None = None
    mask_bytes: int | None = None
    mask_entropy_bytes: float | None = None
    kept_weights_hash: str | None = None
    weights_bytes: int | None = None

    # what every method at one seed must share
    initial_weights_hash: str | None = None
    pruning_batches_hash: str | None = None
    training_order_hash: str | None = None
    final_weights_hash: str | None = None
    data_fingerprint: str | None = None
    data_content: str | None = None

    # the cost
    prune_seconds: float | None = None
    prune_passes: int | None = None
    prune_flops: float | None = None
    passes: int | None = None
    training_flops: float | None = None
    training_flops_share: float | None = None
    trained_weights: int | None = None
    trained_macs: int | None = None
    trained_whole: str | None = None
    step: str | None = None
    data_wait: float | None = None
    train_seconds: float | None = None
    images_per_second: float | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None

    # attempts and the error
    attempts: int | None = None
    preemptions: int | None = None
    accumulate: int | None = None
    device_memory_bytes: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    traceback: str | None = None

    # where it ran
    started: datetime | None = None
    host: str | None = None
    device: str | None = None
    gpu_share: float | None = None
    threads: int | None = None
    cluster: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    versions: str | None = None

    @property
    def title(self) -> str:
        """The trial's name in output: ``resnet50 force 99.5% s0``."""
        return trial_title(self.architecture_label, self.method_label, self.sparsity, self.seed)


# Fields of a record that say when, where and how a trial was run and stored, and not its result
CIRCUMSTANCES = frozenset({
    "sweep", "outcome", "written", "config", "started", "seconds", "prune_seconds", "train_seconds", "epoch_seconds",
    "images_per_second", "peak_memory_bytes", "device_memory_bytes", "mask_bytes", "weights_bytes",
    "attempts", "preemptions", "host", "device", "gpu_share", "threads", "cluster", "git_commit", "git_dirty",
    "versions", "traceback", "encoding", "packed", "trained_whole", "step", "data_wait",
})  # fmt: skip
# Fields that came later than `written`: null in older records, which may have the same result nevertheless
ADDED_LATER = frozenset({
    "data_content", "prunable_share", "tied_candidates", "tied_kept", "trained_whole", "unconserved_layers",
    "effective_nodes", "log_paths", "final_effective_nodes", "final_log_paths",
})  # fmt: skip


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
    estimate: str | None = None  # JSON: what the launch expected its trials to take (sweep.store.estimates)


@dataclass(frozen=True)
class Outcome:
    """All records of one trial, written to the store together."""

    trial: TrialRecord
    epochs: tuple[EpochRecord, ...] = ()
    masks: tuple[MaskRecord, ...] = ()
    weights: tuple[WeightRecord, ...] = ()


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
