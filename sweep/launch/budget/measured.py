"""What trials took that are like those of a plan: completed ones of the store, and pieces of them in calibrations."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sweep.launch.budget.likeness import Likeness, of_record
from sweep.records import COMPLETED
from sweep.store import Store
from sweep.trial.timing import Timing
from sweep.trial.work import Kind, Size, Work, training_work

_COLUMNS = [
    "status", "architecture_label", "method_label", "sparsity", "epochs", "seconds", "prune_seconds", "train_seconds",
    "device", "gpu_share", "config", "peak_memory_bytes", "mask_bytes",
]  # fmt: skip
_SAME_SHARE = 0.1  # shares of a GPU that differ by less are one


class Hardware(NamedTuple):
    """What trials run on: the device as records name it, "" where unknown, and the share of a GPU; None on a CPU."""

    device: str
    share: float | None


@dataclass(frozen=True)
class Sample:
    """What one trial took, or its pieces.

    Attributes:
        kind: of the trial.
        is_exact: whether trials of this kind in the plan take as long; else only its rounds and steps tell.
        work: multiply-accumulates that were done; of pruning, those of all rounds.
        seconds: in all; of a calibration, as it would be.
        pruning, training: of these.
        hardware: that it ran on.
        is_calibration: whether only pieces of the trial ran.
    """

    kind: Kind
    is_exact: bool
    work: Work
    seconds: float
    pruning: float
    training: float
    hardware: Hardware
    is_calibration: bool = False
    memory_bytes: int | None = None
    mask_bytes: int | None = None

    @property
    def other(self) -> float:
        """Seconds besides pruning and training."""
        return max(0.0, self.seconds - self.pruning - self.training)


@dataclass(frozen=True)
class Wanted:
    """What a plan wants to know.

    Attributes:
        works: the work of its trials by kind; None where the images cannot be counted.
        likeness: of the trials of an architecture, by its label.
        size: images for a fraction to train on and a number of held-out ones, and the network with this label;
            None where the images cannot be counted.
        on_gpu: whether the trials run on GPUs.
        here: this machine, as the trials would have it.
    """

    works: Mapping[Kind, Work | None]
    likeness: Mapping[str, Likeness]
    size: Callable[[str, float, float], Size | None]
    on_gpu: bool
    here: Hardware


def measured(store: Store, timings: Iterable[Timing], wanted: Wanted) -> Sequence[Sample]:
    """The samples that tell of the trials, all on the same hardware: this machine's, or what there is most of."""
    by_hardware: dict[Hardware, list[Sample]] = defaultdict(list)
    for sample in (*_stored(store, wanted), *_calibrated(timings, wanted)):
        by_hardware[sample.hardware].append(sample)
    if not by_hardware:
        return ()
    best = max(by_hardware, key=lambda hardware: (_closeness(hardware, wanted.here), len(by_hardware[hardware])))
    return by_hardware[best]


def _closeness(hardware: Hardware, here: Hardware) -> int:
    one, other = hardware.share, here.share
    is_share = one == other if one is None or other is None else abs(one - other) <= _SAME_SHARE * other
    return 2 * (hardware.device == here.device) + is_share


def _stored(store: Store, wanted: Wanted) -> Iterator[Sample]:
    rows = store.trials(columns=_COLUMNS)
    labels = pa.array(sorted(wanted.likeness), pa.string())
    is_like = pc.and_(pc.equal(rows["status"], COMPLETED), pc.is_in(rows["architecture_label"], value_set=labels))
    pruning = {kind[:2]: work.pruning for kind, work in wanted.works.items() if work is not None}
    for row in rows.filter(is_like).to_pylist():
        likeness, of_plan = of_record(row["config"]), wanted.likeness[row["architecture_label"]]
        is_device = row["device"] is not None and row["device"].startswith("cpu") != wanted.on_gpu
        if is_device and row["seconds"] is not None and likeness is not None and likeness.step == of_plan.step:
            yield _sample(row, likeness, wanted, is_recipe=likeness.recipe == of_plan.recipe, pruning=pruning)


def _sample(
    row: Mapping[str, Any],
    likeness: Likeness,
    wanted: Wanted,
    is_recipe: bool,
    pruning: Mapping[tuple[Any, ...], float],
) -> Sample:
    kind = Kind(row["architecture_label"], row["method_label"], row["sparsity"])
    size = wanted.size(kind.architecture, likeness.train, likeness.validation)
    training = training_work(size, row["epochs"]) if size else 0.0
    return Sample(
        kind,
        is_exact=is_recipe,
        work=Work(pruning.get(kind[:2], 0.0), training),
        seconds=row["seconds"],
        pruning=row["prune_seconds"] or 0.0,
        training=row["train_seconds"] or 0.0,
        hardware=Hardware(row["device"], row["gpu_share"]),
        memory_bytes=row["peak_memory_bytes"],
        mask_bytes=row["mask_bytes"],
    )


def _calibrated(timings: Iterable[Timing], wanted: Wanted) -> Iterator[Sample]:
    for timing in timings:
        if timing.device.startswith("cpu") == wanted.on_gpu:
            continue
        yield Sample(
            Kind(timing.architecture, timing.method, timing.sparsity),
            is_exact=False,
            work=Work(timing.pruning_work, timing.training_work),
            seconds=timing.pruning_seconds + timing.training_seconds + timing.other_seconds,
            pruning=timing.pruning_seconds,
            training=timing.training_seconds,
            hardware=Hardware(timing.device, timing.share),
            is_calibration=True,
            memory_bytes=timing.memory_bytes,
            mask_bytes=timing.mask_bytes,
        )
