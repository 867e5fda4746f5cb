"""The budget of a plan: what the trials that are left take in time, memory, disk and dollars."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import fmean

from pruning.masks import kept_count
from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.errors import InputError
from sweep.launch.budget import calibrations
from sweep.launch.budget.estimator import Estimate, Estimator
from sweep.launch.budget.hardware import Slots, device_here, slots
from sweep.launch.budget.likeness import Likeness, of_trial
from sweep.launch.budget.measured import Sample, Wanted, measured
from sweep.launch.order import longest_first
from sweep.launch.pace import makespan
from sweep.launch.plan import Plan
from sweep.store import Store
from sweep.store.estimates import KindSeconds, LaunchEstimate, Range
from sweep.trial.networks import NetworkSummary
from sweep.trial.work import Kind, Size, Work, expected
from training import data

START_SECONDS = 15.0  # from a launch to its first trial, where the store does not tell
FLOPS = 6.0  # of a multiply-accumulate of a forward and a backward pass: two each, the backward pass counts twice
MASK_FILE_BYTES, MASK_OVERHEAD = 3000, 1.05  # of a file of masks besides them; of masks above their entropy
DEVIATIONS = 2.0  # standard deviations on each side of what is expected


@dataclass(frozen=True)
class Budget:
    """What the trials of a plan that are left to run take.

    Attributes:
        trials: how many they are.
        slots: where they run.
        flops: floating-point operations of all passes, as of dense networks; None where the images cannot be counted.
        seconds: of the trials, added up; None where nothing tells how long one of them takes.
        wall: seconds from the launch to the end of the last trial; likewise.
        estimates: of a trial of each kind, where something tells.
        lengths: of a trial of each kind, for comparison: seconds, or the work where these are not known of all.
        counts: trials by kind.
        measured_trials: like trials of the store that these come from.
        is_calibrated: whether some come from pieces of trials.
        device: that these ran on.
        unknown: labels of architectures for which nothing tells.
        memory_bytes: the most that a trial has needed, by label of its architecture; of some nothing is known.
        mask_bytes: of the masks on disk.
        weights_bytes: of the kept weights on disk; None where they are not stored.
        dollars_per_hour: as the config says.
    """

    trials: int
    slots: Slots
    flops: float | None
    seconds: Range | None
    wall: Range | None
    estimates: Mapping[Kind, Estimate]
    lengths: Mapping[Kind, float]
    counts: Mapping[Kind, int]
    measured_trials: int
    is_calibrated: bool
    device: str
    unknown: Sequence[str]
    memory_bytes: Mapping[str, int]
    mask_bytes: int
    weights_bytes: int | None
    dollars_per_hour: float | None

    @property
    def hours(self) -> Range | None:
        """GPU-hours, or hours of a machine like this one, all its trials at once."""
        return self.seconds and self.seconds.times(1 / 3600 / self.slots.per_unit)

    @property
    def dollars(self) -> Range | None:
        """What they cost; None where hours or price are unknown."""
        return (self.hours and self.dollars_per_hour and self.hours.times(self.dollars_per_hour)) or None

    def of_kind(self, kind: Kind) -> Range | None:
        """Seconds of a trial of this kind; None where nothing tells."""
        estimate = self.estimates.get(kind)
        return estimate and _around(estimate.seconds, estimate.error)

    @property
    def launch_estimate(self) -> LaunchEstimate | None:
        """What a launch stores of it; None where there is nothing to compare with later."""
        if self.seconds is None or not self.seconds.expected:
            return None
        low, expected, high = self.seconds
        kinds = tuple(KindSeconds(*kind, estimate.seconds) for kind, estimate in self.estimates.items())
        return LaunchEstimate(datetime.now(UTC), kinds, low / expected, high / expected)


def budget(planned: Plan, store: Store, networks: Mapping[str, NetworkSummary], gpus: int | None = None) -> Budget:
    """The budget of what a plan has left to run.

    Args:
        planned: the plan.
        store: that it was made for, with like trials and calibrations.
        networks: of its grid, by label.
        gpus: that it would run on; by default this machine's, or one.

    Raises:
        InputError: ``gpus`` of trials on CPUs.
    """
    sweep, where = planned.sweep, slots(planned.sweep, store, gpus)
    order = [Kind.of(trial) for trial in planned.todo.values()]
    counts, examples = Counter(order), dict(zip(order, planned.todo.values(), strict=True))
    likeness = {kind.architecture: of_trial(trial) for kind, trial in examples.items()}
    wanted = _wanted(sweep, networks, examples, likeness, where)
    timings = calibrations.load(store, [each.step for each in likeness.values()]) if likeness else []
    samples = measured(store, timings, wanted) if likeness else ()
    estimator = Estimator(samples)
    estimates = {kind: estimator.estimate(kind, wanted.works[kind]) for kind in counts}
    known = {kind: estimate for kind, estimate in estimates.items() if estimate is not None}
    lengths = _lengths(known, wanted.works, examples)
    seconds = _sum(known, counts) if len(known) == len(counts) else None
    return Budget(
        trials=len(order),
        slots=where,
        flops=_flops(wanted.works, counts),
        seconds=seconds,
        wall=seconds and _wall(seconds, _in_order(planned, lengths), where, _start_seconds(store)),
        estimates=known,
        lengths=lengths,
        counts=counts,
        measured_trials=sum(estimate.trials for estimate in known.values()) or _number_measured(samples),
        is_calibrated=any(not estimate.trials for estimate in known.values()) and _has_calibration(samples),
        device=samples[0].hardware.device if samples else "",
        unknown=sorted({kind.architecture for kind in counts.keys() - known.keys()}),
        memory_bytes=_memory(samples),
        mask_bytes=_mask_bytes(samples, counts, networks),
        weights_bytes=_weights_bytes(sweep, counts, networks),
        dollars_per_hour=sweep.compute.dollars_per_hour,
    )


def check_cost(found: Budget, most: float) -> None:
    """Check that the trials that are left cost at most so many dollars, at the upper end of what they may cost.

    Raises:
        InputError: they may cost more, or nobody knows.
    """
    if not found.trials:
        return
    if found.dollars_per_hour is None:
        raise InputError("--max-cost: the config has no price; --set compute.dollars_per_hour=PRICE")
    if found.dollars is None:
        raise InputError(
            f"--max-cost: nothing tells how long trials of {', '.join(found.unknown)} take; sweep plan CONFIG"
            " --calibrate measures it in a minute"
        )
    if found.dollars.high > most:
        low, middle, high = map(dollars_text, found.dollars)
        raise InputError(
            f"--max-cost {most:g}: the {found.trials:,} trials that are left cost about {middle} ({low} to {high});"
            " allow more, or plan fewer"
        )


def dollars_text(dollars: float) -> str:
    """``3.9`` -> ``$3.90``, ``1234.5`` -> ``$1,234``."""
    return f"${dollars:,.2f}" if dollars < 1000 else f"${dollars:,.0f}"


def _wanted(
    sweep: SweepConfig,
    networks: Mapping[str, NetworkSummary],
    examples: Mapping[Kind, TrialConfig],
    likeness: Mapping[str, Likeness],
    where: Slots,
) -> Wanted:
    counted: dict[tuple[float, float], data.Counts | None] = {}

    def size(label: str, train: float, validation: float) -> Size | None:
        key = (train, validation)
        if key not in counted:
            counted[key] = _counts(sweep, train, validation)
        images = counted[key]
        return images and Size(images.training, networks[label].macs, images.validation, images.test)

    sizes = {label: size(label, like.train, like.validation) for label, like in likeness.items()}
    works: dict[Kind, Work | None] = {}
    for kind, trial in examples.items():
        known = sizes[kind.architecture]
        works[kind] = known and expected(trial, known)
    return Wanted(works, likeness, size, where.gpus > 0, device_here(where, sweep.compute.cpus_per_trial))


def _counts(sweep: SweepConfig, train: float, validation: float) -> data.Counts | None:
    try:
        return data.counts(replace(sweep.data, train=train, validation=validation))
    except ValueError:  # the images cannot be listed, or a stored trial had other images
        return None


def _lengths(
    known: Mapping[Kind, Estimate], works: Mapping[Kind, Work | None], examples: Mapping[Kind, TrialConfig]
) -> dict[Kind, float]:
    if len(known) == len(works):
        return {kind: estimate.seconds for kind, estimate in known.items()}
    return {kind: sum(work or expected(examples[kind], None)) for kind, work in works.items()}


def _in_order(planned: Plan, lengths: Mapping[Kind, float]) -> list[float]:
    """The seconds of the trials, in the order in which a launch starts them."""
    return [lengths[Kind.of(trial)] for trial in longest_first(planned.todo, lengths).values()]


def _flops(works: Mapping[Kind, Work | None], counts: Mapping[Kind, int]) -> float | None:
    total = 0.0
    for kind, number in counts.items():
        work = works[kind]
        if work is None:
            return None
        total += FLOPS * number * sum(work)
    return total


def _sum(estimates: Mapping[Kind, Estimate], counts: Mapping[Kind, int]) -> Range:
    """Seconds of all trials. Their errors are taken to agree: a machine that is slow is slow for all."""
    total = sum(number * estimates[kind].seconds for kind, number in counts.items())
    error = sum(number * estimates[kind].seconds * estimates[kind].error for kind, number in counts.items())
    return _around(total, error / total if total else 0.0)


def _around(expected: float, error: float) -> Range:
    """The range of a value with this relative error (one standard deviation)."""
    factor = 1 + DEVIATIONS * error
    return Range(expected / factor, expected, expected * factor)


def _wall(seconds: Range, trials: Sequence[float], where: Slots, start: float) -> Range:
    expected = start + makespan([], trials, where.at_once)
    total = seconds.expected or 1.0
    return Range(expected * seconds.low / total, expected, expected * seconds.high / total)


def _start_seconds(store: Store) -> float:
    """From a launch to its first trial: as the last one took that this store knows of."""
    for record in sorted(store.sweeps(), key=lambda record: record.launched, reverse=True):
        estimate = LaunchEstimate.of(record)
        if estimate is not None and estimate.start_seconds is not None:
            return estimate.start_seconds
    return START_SECONDS


def _number_measured(samples: Sequence[Sample]) -> int:
    return sum(not sample.is_calibration for sample in samples)


def _has_calibration(samples: Sequence[Sample]) -> bool:
    return any(sample.is_calibration for sample in samples)


def _memory(samples: Sequence[Sample]) -> dict[str, int]:
    most: dict[str, int] = defaultdict(int)
    for sample in samples:
        if sample.memory_bytes is not None:
            most[sample.kind.architecture] = max(most[sample.kind.architecture], sample.memory_bytes)
    return dict(most)


def _mask_bytes(samples: Sequence[Sample], counts: Mapping[Kind, int], networks: Mapping[str, NetworkSummary]) -> int:
    """As masks of such trials take; else by the entropy of masks that are drawn at random."""
    found: dict[Kind, list[int]] = defaultdict(list)
    for sample in samples:
        if sample.mask_bytes is not None:
            found[sample.kind].append(sample.mask_bytes)
    total = 0.0
    for kind, number in counts.items():
        if kind in found:
            total += number * fmean(found[kind])
        else:
            entropy = networks[kind.architecture].prunable * _entropy_bits(kind.sparsity) / 8
            total += number * (MASK_FILE_BYTES + MASK_OVERHEAD * entropy)
    return round(total)


def _entropy_bits(p: float) -> float:
    return -(p * math.log2(p) + (1 - p) * math.log2(1 - p)) if 0 < p < 1 else 0.0


def _weights_bytes(
    sweep: SweepConfig, counts: Mapping[Kind, int], networks: Mapping[str, NetworkSummary]
) -> int | None:
    if sweep.compute.keep_weights == "none":
        return None
    return sum(
        4 * number * kept_count(networks[kind.architecture].prunable, kind.sparsity) for kind, number in counts.items()
    )
