"""The budget of a plan, in words and in plain values."""

from collections.abc import Iterator

from sweep.cli.print.console import Row
from sweep.launch.budget.budget import Budget, dollars_text
from sweep.store.estimates import Range
from sweep.text import count, duration, percent


def budget_json(found: Budget) -> Row:
    """In plain values; names end in their units."""
    slots = found.slots
    return {
        "trials": found.trials,
        "flops_dense": found.flops,
        "trial_seconds": _range(found.seconds),
        "hours": _range(found.hours),
        "hours_unit": slots.unit,
        "from_measured_trials": found.measured_trials,
        "from_calibration": found.is_calibrated,
        "device": found.device or None,
        "not_known_for": list(found.unknown),
        "gpus": slots.gpus,
        "trials_at_once": slots.at_once,
        "wall_seconds": _range(found.wall),
        "dollars_per_hour": found.dollars_per_hour,
        "dollars": _range(found.dollars),
        "memory_bytes_of_a_trial": dict(found.memory_bytes),
        "mask_bytes": found.mask_bytes,
        "weights_bytes": found.weights_bytes,
        "kinds": [
            {**kind._asdict(), "trials": number, "seconds_of_a_trial": _range(found.of_kind(kind))}
            for kind, number in found.counts.items()
        ],
    }


def _range(found: Range | None) -> Row | None:
    return None if found is None else found._asdict()


def budget_lines(found: Budget) -> Iterator[str]:
    """A line on each part; nothing where no trial is left."""
    if not found.trials:
        return
    yield from _time(found)
    yield from _size(found)


def kind_lines(found: Budget) -> Iterator[str]:
    """Seconds of a trial of each kind, a line each."""
    for kind in found.counts:
        if seconds := found.of_kind(kind):
            low, middle, high = map(duration, seconds)
            yield f"{kind.architecture} {kind.method} {percent(kind.sparsity)}: {middle} ({low} to {high}) a trial"


def _time(found: Budget) -> Iterator[str]:
    trials, slots = count(found.trials, "trial"), found.slots
    if found.hours is None or found.wall is None:
        yield f"budget: not known how long trials of {', '.join(found.unknown)} take: no like trial was measured yet"
        return
    low, middle, high = (duration(3600 * hours) for hours in found.hours)
    unit = "on one GPU" if slots.gpus else "of a machine like this one"
    yield f"budget: about {middle} {unit} ({low} to {high}) for {trials}, {_source(found)}"
    if slots.gpus:
        gpus = "1 GPU" if slots.gpus == 1 else f"{slots.gpus} GPUs"
        place = f"{gpus}, {count(slots.at_once, 'trial')} at once"
    else:
        place = f"this machine, {count(slots.at_once, 'trial')} at once"
    assumed = "; how many share a GPU is measured at the launch" if slots.is_assumed else ""
    low, middle, high = map(duration, found.wall)
    yield f"budget: {middle} ({low} to {high}) from launch to end on {place}{assumed}"
    if found.dollars is not None:
        low, middle, high = map(dollars_text, found.dollars)
        hour = "a GPU and hour" if slots.gpus else f"an hour of {count(slots.cores, 'core')}"
        yield f"budget: {middle} ({low} to {high}) at {dollars_text(found.dollars_per_hour or 0)} {hour}"


def _source(found: Budget) -> str:
    sources = [f"{count(found.measured_trials, 'measured trial')}"] if found.measured_trials else []
    sources += ["a calibration"] if found.is_calibrated else []
    return f"from {' and '.join(sources)} on {found.device}"


def _size(found: Budget) -> Iterator[str]:
    parts = [] if found.flops is None else [f"{found.flops:.2g} FLOPs, counted as of dense networks"]
    memory = "GPU memory" if found.slots.gpus else "memory"
    parts += [
        f"at most {bytes_text(most)} of {memory} a trial of {label}" for label, most in found.memory_bytes.items()
    ]
    parts.append(f"{bytes_text(found.mask_bytes)} of masks on disk")
    if found.weights_bytes is not None:
        parts.append(f"{bytes_text(found.weights_bytes)} of weights")
    yield f"budget: {'; '.join(parts)}"


def bytes_text(number: float) -> str:
    """``1234567`` -> ``1.2 MB``."""
    for size, unit in ((1e9, "GB"), (1e6, "MB")):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number / 1e3:,.0f} kB"
